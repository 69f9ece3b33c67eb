"""Rows that arrive: new ones, and those that another manager has brought on their way already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import ErrorClass, Failure, NewJob, Outcome, ResultsStatus, Tracked
from openeo_jobs.status import ENDED, FAILED, Actor, JobStatus
from openeo_jobs.storage.rows import failure_values
from openeo_jobs.storage.schema import attempt, backend, batch_job, job

_UNKNOWN_FAILURE = "failed before this campaign was taken over"


def insert_jobs(
    connection: sa.Connection,
    jobs: Sequence[NewJob],
    *,
    first_position: int,
    at: datetime,
    actor: Actor = Actor.USER,
    reason: str | None = None,
) -> None:
    """Insert rows after those that are there; their numbers follow on, in order."""
    first = connection.execute(sa.select(sa.func.coalesce(sa.func.max(job.c.id), 0) + 1)).scalar_one()
    news = [_New(number=first + i, position=first_position + i, job=one, at=at) for i, one in enumerate(jobs)]
    if not news:
        return
    connection.execute(sa.insert(job), [new.job_values(actor, reason) for new in news])
    begun = [new for new in news if new.backend_name is not None]
    backend_ids = _register(connection, {str(new.backend_name) for new in begun})
    for new in begun:
        _insert_attempt(connection, new, backend_ids[str(new.backend_name)])


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
        is_finished = tracked.status is JobStatus.FINISHED and self.backend_name and tracked.batch_job_id
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
            "results_status": (tracked.results_status or ResultsStatus.PENDING) if is_finished else None,
            "change_actor": actor if is_begun else None,
            "change_reason": reason if is_begun else None,
        }


def _register(connection: sa.Connection, names: set[str]) -> dict[str, int]:
    """Return the ids of backends; one that is not known yet has no slots until it is registered."""
    known = {row.name: row.id for row in connection.execute(sa.select(backend.c.name, backend.c.id))}
    for name in sorted(names - set(known)):
        known[name] = connection.execute(sa.insert(backend).values(name=name, parallel_jobs=0)).lastrowid
    return known


def _insert_attempt(connection: sa.Connection, new: _New, backend_id: int) -> None:
    tracked = new.tracked
    attempt_id = connection.execute(
        sa.insert(attempt).values(
            job_id=new.number,
            number=1,
            backend_id=backend_id,
            began_at=tracked.start_time or new.at,
            ended_at=new.at if tracked.status in ENDED | FAILED else None,
            start_time=tracked.start_time,
            running_start_time=tracked.running_start_time,
            costs=tracked.costs,
            usage=dict(tracked.usage) or None,
            hook_returned_at=new.at if tracked.hook_returned else None,
            **_failure(tracked, new.at),
        )
    ).lastrowid
    if tracked.batch_job_id is not None:
        chosen_id = connection.execute(
            sa.insert(batch_job).values(
                attempt_id=attempt_id,
                backend_id=backend_id,
                batch_job_id=tracked.batch_job_id,
                outcome=Outcome.ADOPTED,
                ended_at=new.at,
                start_sent_at=None if tracked.status is JobStatus.CREATED else new.at,
            )
        ).lastrowid
        connection.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(chosen_id=chosen_id))
    connection.execute(sa.update(job).where(job.c.id == new.number).values(attempt_id=attempt_id))


def _failure(tracked: Tracked, at: datetime) -> dict[str, Any]:
    """Return the columns of a failure for a row that failed for a reason that nobody kept."""
    is_unexplained = tracked.status in FAILED and (
        tracked.status is not JobStatus.ERROR or tracked.hook_returned
    )
    if not is_unexplained:
        return {}
    kind = ErrorClass.REMOTE_ERROR if tracked.status is JobStatus.ERROR else ErrorClass.PERMANENT
    return failure_values(Failure(error_class=kind, message=_UNKNOWN_FAILURE, at=at, key=_UNKNOWN_FAILURE))
