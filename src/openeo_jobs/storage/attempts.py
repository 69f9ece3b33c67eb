"""Attempts and their batch jobs, as they are inserted: by a claim, from a file, by another manager."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import ErrorClass, Failure, Outcome
from openeo_jobs.status import ENDED, FAILED, JobStatus
from openeo_jobs.storage.rows import failure_values
from openeo_jobs.storage.schema import attempt, batch_job, job
from openeo_jobs.tables import Tracked

_EARLIER = attempt.alias("earlier")
_NEXT_NUMBER = sa.select(sa.func.coalesce(sa.func.max(_EARLIER.c.number), 0) + 1).where(
    _EARLIER.c.job_id == sa.bindparam("of_job")
)
_INSERT_ATTEMPT = sa.insert(attempt).values(number=_NEXT_NUMBER.scalar_subquery())
_NO_REASON = "it failed under another manager, which kept no reason"


def insert_attempt(
    connection: sa.Connection, job_number: int, *, backend_id: int, began_at: datetime, **values: Any
) -> int:
    """Insert the next attempt of a job; return its id."""
    known = {"job_id": job_number, "of_job": job_number, "backend_id": backend_id, "began_at": began_at}
    return int(connection.execute(_INSERT_ATTEMPT, {**known, **values}).lastrowid)


def insert_tracked_attempt(
    connection: sa.Connection, job_number: int, tracked: Tracked, *, backend_id: int, at: datetime
) -> int:
    """Insert an attempt that another manager has made, with its batch job; return its id."""
    attempt_id = insert_attempt(
        connection,
        job_number,
        backend_id=backend_id,
        began_at=tracked.start_time or at,
        ended_at=at if tracked.status in ENDED | FAILED else None,
        start_time=tracked.start_time,
        running_start_time=tracked.running_start_time,
        costs=tracked.costs,
        usage=dict(tracked.usage) or None,
        **unexplained_failure(tracked.status, at),
    )
    if tracked.batch_job_id is not None:
        choose_tracked(connection, attempt_id, tracked, backend_id=backend_id, at=at)
    return attempt_id


def choose_tracked(
    connection: sa.Connection, attempt_id: int, tracked: Tracked, *, backend_id: int, at: datetime
) -> None:
    """Make the batch job that another manager names the attempt's; unless it is `created`, it was started."""
    number = find_or_insert_batch_job(
        connection,
        attempt_id=attempt_id,
        backend_id=backend_id,
        batch_job_id=str(tracked.batch_job_id),
        outcome=Outcome.ADOPTED,
        at=at,
    )
    if tracked.status is not JobStatus.CREATED:
        record_started(connection, number, at=at)
    connection.execute(
        sa.update(attempt).where(attempt.c.id == attempt_id).values(chosen_id=number, backend_id=backend_id)
    )


def record_started(connection: sa.Connection, number: int, *, at: datetime) -> None:
    """Store that somebody has asked for the start of a batch job, if that is not known yet."""
    connection.execute(
        sa.update(batch_job)
        .where(batch_job.c.id == number, batch_job.c.start_sent_at.is_(None))
        .values(start_sent_at=at)
    )


def find_or_insert_batch_job(
    connection: sa.Connection,
    *,
    attempt_id: int,
    backend_id: int,
    batch_job_id: str,
    outcome: Outcome,
    at: datetime | None,
) -> int:
    """Return the number of a batch job; one that is not known yet is inserted, for this attempt."""
    known = connection.execute(
        sa.select(batch_job.c.id).where(
            batch_job.c.backend_id == backend_id, batch_job.c.batch_job_id == batch_job_id
        )
    ).scalar()
    return known or insert_batch_job(
        connection,
        attempt_id=attempt_id,
        backend_id=backend_id,
        batch_job_id=batch_job_id,
        outcome=outcome,
        ended_at=at,
    )


def insert_batch_job(connection: sa.Connection, **values: Any) -> int:
    """Insert a batch job; return its number."""
    return int(connection.execute(sa.insert(batch_job).values(values)).lastrowid)


def point_to(connection: sa.Connection, job_number: int, attempt_id: int) -> None:
    """Make an attempt the latest one of its job."""
    connection.execute(sa.update(job).where(job.c.id == job_number).values(attempt_id=attempt_id))


def unexplained_failure(status: JobStatus, at: datetime) -> dict[str, Any]:
    """Return the columns of a failure for a row that failed under another manager.

    Why a batch job failed (`error`), its logs still tell.
    """
    if status not in FAILED or status is JobStatus.ERROR:
        return {}
    return failure_values(make_unexplained_failure(ErrorClass.PERMANENT, at=at))


def make_unexplained_failure(error_class: ErrorClass, *, at: datetime) -> Failure:
    """Describe a failure of which nobody knows the reason any more."""
    return Failure(error_class=error_class, message=_NO_REASON, at=at, key=_NO_REASON)
