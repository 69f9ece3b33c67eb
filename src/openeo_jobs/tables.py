"""Rows on their way into the database, as frozen values: dataframes, files, what somebody has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from openeo_jobs.jobs import Column, Job
from openeo_jobs.status import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What a file, or openEO's `JobDatabaseInterface`, says of a row in the documented columns."""

    status: JobStatus = JobStatus.NOT_STARTED
    user_status: str | None = None
    """A status word that nobody knows."""
    batch_job_id: str | None = None
    backend_name: str | None = None
    start_time: datetime | None = None
    running_start_time: datetime | None = None
    costs: float | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    """By name, as backends give it: `{"cpu": {"value": 12.5, "unit": "cpu-seconds"}, ...}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A line of the user's dataframe on its way into the database.

    `params` is the JSON array of its cells in the order of the columns, `index_label` the JSON of its label.
    """

    params: str
    index_label: str
    pinned_backend: str | None = None
    priority: float = 0.0
    tracked: Tracked | None = None
    """What another manager has done for it already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A user's dataframe, encoded: its columns, its index, its rows in order."""

    columns: tuple[Column, ...]
    index: Column
    jobs: tuple[NewJob, ...]
    geometry: str | None = None
    """The active geometry column of a GeoDataFrame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What a dataframe adds to a campaign: columns at the end, rows at the end, cells of rows."""

    columns: tuple[Column, ...]
    """All of them, as they are then."""
    new: tuple[NewJob, ...] = ()
    changed: Mapping[int, NewJob] = field(default_factory=dict)
    """Cells, pin and priority that differ, by the number of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What somebody has written into the documented columns of a row that was handed out."""

    job: Job
    """As it was handed out."""
    tracked: Tracked
    """What the row says now; a word that nobody knows leaves `status` as it was."""
    columns: frozenset[str]
    """The columns that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedRow:
    """A row of a mirror that was edited: the job that it is, and the documented cells that differ."""

    job: Job
    cells: Mapping[str, str]
    """By column, as text; only those that are not what the job would read now."""
