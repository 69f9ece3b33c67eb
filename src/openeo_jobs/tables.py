"""Rows on their way into the database, as frozen values: dataframes, files, what somebody has written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from openeo_jobs.jobs import Column, Job
from openeo_jobs.status import JobStatus

dump_cells = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Write cells as they are stored: strict JSON, and as short as it can be."""


def priority_of(cells: Sequence[Any], columns: Sequence[Column]) -> float:
    """Return the priority of a row: the number in its column `priority`; text and nothing are no priority."""
    for cell, column in zip(cells, columns, strict=True):
        if column.name == "priority" and isinstance(cell, int | float):
            return float(cell)
    return 0.0


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
class Change:
    """What of a row is other than it was: cells, by the position of their column, and the pin."""

    cells: Mapping[int, Any] = field(default_factory=dict)
    is_pinned_anew: bool = False
    pinned_backend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewColumn:
    """A column that a campaign gets, and the cell of the rows that have none."""

    column: Column
    missing: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What a dataframe adds to a campaign of so many *known* columns: columns, rows, and cells of rows."""

    known: int
    columns: tuple[NewColumn, ...] = ()
    new: tuple[NewJob, ...] = ()
    changed: Mapping[int, Change] = field(default_factory=dict)
    """By the number of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What somebody has written into a row that was handed out: what differs, and nothing else."""

    job: Job
    """As it was handed out."""
    tracked: Tracked
    """What the row says now; a word that nobody knows leaves `status` as it was."""
    columns: frozenset[str] = frozenset()
    """The documented columns that differ."""
    change: Change = field(default_factory=Change)
    """The user's own cells that differ."""
    is_outdated: bool = False
    """It reads as the row was handed out once, before it moved: nobody knows what was meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedRow:
    """A row of a mirror that was edited: the job that it is, and the documented cells that differ."""

    job: Job
    place: int
    """Where it is in the mirror, from 0."""
    cells: Mapping[str, str]
    """By column, as text; only those that are not what the job would read now."""
