"""Rows that arrive: new ones, and those that another manager has brought on their way already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import CampaignMovedError
from openeo_jobs.jobs import Column, ResultsStatus
from openeo_jobs.policy.writing import may_change_cells
from openeo_jobs.status import Actor, JobStatus
from openeo_jobs.storage.attempts import insert_tracked_attempt, point_to
from openeo_jobs.storage.backends import ensure_backends
from openeo_jobs.storage.rows import SELECT_JOBS, columns_from, job_from
from openeo_jobs.storage.schema import campaign, job
from openeo_jobs.storage.views import create_views
from openeo_jobs.tables import Change, Merge, NewJob, Tracked, dump_cells, priority_of


def insert_jobs(
    connection: sa.Connection, jobs: Sequence[NewJob], *, at: datetime, actor: Actor, reason: str | None
) -> None:
    """Insert rows after those that are there, in order; so are their numbers and positions."""
    after = sa.func.coalesce(sa.func.max(job.c.id), 0), sa.func.coalesce(sa.func.max(job.c.position), -1)
    number, position = connection.execute(sa.select(*after)).one()
    news = [
        _New(number=number + i, position=position + i, job=one, at=at) for i, one in enumerate(jobs, start=1)
    ]
    if not news:
        return
    connection.execute(sa.insert(job), [new.job_values(actor, reason) for new in news])
    begun = [new for new in news if new.backend_name is not None]
    backend_ids = ensure_backends(connection, {str(new.backend_name) for new in begun})
    for new in begun:
        backend_id = backend_ids[str(new.backend_name)]
        attempt_id = insert_tracked_attempt(connection, new.number, new.tracked, backend_id=backend_id, at=at)
        point_to(connection, new.number, attempt_id)


def merge_rows(
    connection: sa.Connection, merge: Merge, *, at: datetime, actor: Actor, reason: str
) -> list[int]:
    """Store what a dataframe adds to the campaign; return the rows that keep their cells.

    Raises `CampaignMovedError` where the campaign has got columns that *merge* does not know.
    """
    columns = columns_from(connection.execute(sa.select(campaign.c.columns)).scalar_one())
    if len(columns) != merge.known:
        raise CampaignMovedError("the campaign has got other columns meanwhile; try again")
    columns = (*columns, *(new.column for new in merge.columns))
    if merge.columns:
        _append_cells(connection, [new.missing for new in merge.columns])
        connection.execute(sa.update(campaign).values(columns=describe_columns(columns)))
        create_views(connection, columns)
    kept = []
    for number, change in merge.changed.items():
        is_new_only = not change.is_pinned_anew and min(change.cells) >= merge.known
        one = connection.execute(SELECT_JOBS.where(job.c.id == number)).one()
        if is_new_only or may_change_cells(job_from(one)):
            change_cells(connection, number, change, columns)
        else:
            kept.append(number)
    insert_jobs(connection, merge.new, at=at, actor=actor, reason=reason)
    if merge.columns or merge.changed or merge.new:
        count_edition(connection)
    return kept


def change_cells(connection: sa.Connection, number: int, change: Change, columns: Sequence[Column]) -> None:
    """Change cells of a row, and what follows from them, to what they are in *change*."""
    values: dict[str, Any] = {"pinned_backend": change.pinned_backend} if change.is_pinned_anew else {}
    if change.cells:
        cells = json.loads(connection.execute(sa.select(job.c.params).where(job.c.id == number)).scalar_one())
        for place, cell in change.cells.items():
            cells[place] = cell
        values |= {"params": dump_cells(cells), "priority": priority_of(cells, columns)}
    if values:
        connection.execute(sa.update(job).where(job.c.id == number).values(values))


def count_edition(connection: sa.Connection) -> None:
    """Store that columns, cells, pins or the order of rows have changed."""
    connection.execute(sa.update(campaign).values(edition=campaign.c.edition + 1))


def describe_columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return columns as the campaign keeps them."""
    return [{"name": c.name, "dtype": c.dtype, "detail": dict(c.detail)} for c in columns]


def _append_cells(connection: sa.Connection, missing: Sequence[Any]) -> None:
    """Append a cell for each new column to every row."""
    rows = connection.execute(sa.select(job.c.id, job.c.params)).all()
    longer = [
        {"number": row.id, "its_params": dump_cells([*json.loads(row.params), *missing])} for row in rows
    ]
    update = sa.update(job).where(job.c.id == sa.bindparam("number"))
    connection.execute(update.values(params=sa.bindparam("its_params")), longer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _New:
    """A row on its way in: its number, and what is known of it."""

    number: int
    position: int
    job: NewJob
    at: datetime

    @property
    def tracked(self) -> Tracked:
        return self.job.tracked or Tracked()

    @property
    def backend_name(self) -> str | None:
        """The backend of its attempt; None where it had none, or none that counts."""
        return None if self.tracked.status is JobStatus.NOT_STARTED else self.tracked.backend_name

    def job_values(self, actor: Actor, reason: str | None) -> dict[str, Any]:
        tracked = self.tracked
        is_begun = tracked.status is not JobStatus.NOT_STARTED
        has_results = tracked.status is JobStatus.FINISHED and self.backend_name and tracked.batch_job_id
        return {
            "id": self.number,
            "position": self.position,
            "index_label": self.job.index_label,
            "params": self.job.params,
            "pinned_backend": self.job.pinned_backend,
            "priority": self.job.priority,
            "status": tracked.status,
            "status_since": self.at,
            "user_status": tracked.user_status,
            "results_status": ResultsStatus.PENDING if has_results else None,
            "change_actor": actor if is_begun else None,
            "change_reason": reason if is_begun else None,
        }
