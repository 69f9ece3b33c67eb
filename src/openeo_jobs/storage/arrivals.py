"""Rows that arrive: new ones, and those that another manager has brought on their way already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Column, ResultsStatus
from openeo_jobs.status import Actor, JobStatus
from openeo_jobs.storage.attempts import insert_tracked_attempt, point_to
from openeo_jobs.storage.backends import ensure_backends
from openeo_jobs.storage.schema import campaign, job
from openeo_jobs.storage.views import create_views
from openeo_jobs.tables import Merge, NewJob, Tracked


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


def merge_rows(connection: sa.Connection, merge: Merge, *, at: datetime, actor: Actor, reason: str) -> None:
    """Store what a dataframe adds to the campaign: columns, cells, rows."""
    known = len(connection.execute(sa.select(campaign.c.columns)).scalar_one())
    if merge.changed:
        connection.execute(_UPDATE_CELLS, [_cells(number, row) for number, row in merge.changed.items()])
    insert_jobs(connection, merge.new, at=at, actor=actor, reason=reason)
    if len(merge.columns) > known:
        connection.execute(sa.update(campaign).values(columns=describe_columns(merge.columns)))
        create_views(connection, merge.columns)


def describe_columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return columns as the campaign keeps them."""
    return [{"name": c.name, "dtype": c.dtype, "detail": dict(c.detail)} for c in columns]


_UPDATE_CELLS = (
    sa.update(job)
    .where(job.c.id == sa.bindparam("number"))
    .values(
        params=sa.bindparam("its_params"),
        pinned_backend=sa.bindparam("its_pin"),
        priority=sa.bindparam("its_priority"),
    )
)


def _cells(number: int, row: NewJob) -> dict[str, Any]:
    return {
        "number": number,
        "its_params": row.params,
        "its_pin": row.pinned_backend,
        "its_priority": row.priority,
    }


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
