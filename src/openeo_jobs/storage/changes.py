"""The one place where a status changes: by compare-and-set, with an actor and a reason."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import JobMovedError, StatusChangeError
from openeo_jobs.jobs import Job
from openeo_jobs.status import Actor, JobStatus
from openeo_jobs.storage.schema import job as job_table


def change_status(
    connection: sa.Connection,
    job: Job,
    new: JobStatus,
    *,
    at: datetime,
    actor: Actor = Actor.TRACKER,
    reason: str | None = None,
    **values: Any,
) -> None:
    """Change *job* to *new* if it is still as it was read, and set *values* with it.

    It is still as it was read if its status, its owner and its attempt are the same.

    Raises `JobMovedError` if the row has moved meanwhile, `StatusChangeError` if the graph forbids it.
    """
    if new != job.status:
        values |= {"status": new, "status_since": at, "change_actor": actor, "change_reason": reason}
    if not values:
        return
    try:
        changed = connection.execute(sa.update(job_table).where(_is_unmoved(job)).values(values)).rowcount
    except sa.exc.IntegrityError as error:
        raise StatusChangeError(
            f"row {job.number}: {actor} may not change {job.status} to {new} ({error.orig})"
        ) from error
    if changed != 1:
        raise _moved(job)


def check_unmoved(connection: sa.Connection, job: Job) -> None:
    """Raise `JobMovedError` unless *job* is still as it was read."""
    if connection.execute(sa.select(job_table.c.id).where(_is_unmoved(job))).first() is None:
        raise _moved(job)


def check_owned(connection: sa.Connection, job: Job) -> None:
    """Raise `JobMovedError` unless *job* has the owner and the attempt with which it was read."""
    if not is_owned(connection, job):
        raise _moved(job)


def is_owned(connection: sa.Connection, job: Job) -> bool:
    """Say whether *job* has the owner and the attempt with which it was read."""
    return connection.execute(sa.select(job_table.c.id).where(_is_owned(job))).first() is not None


def change_each(
    connection: sa.Connection, jobs: Iterable[Job], new: JobStatus, *, at: datetime, actor: Actor, reason: str
) -> int:
    """Change those of *jobs* that are still as they were read; return how many were."""
    changed = 0
    for job in jobs:
        try:
            change_status(connection, job, new, at=at, actor=actor, reason=reason)
        except JobMovedError:
            continue
        changed += 1
    return changed


def update_unmoved(connection: sa.Connection, jobs: Iterable[Job], **values: Any) -> None:
    """Set *values* in those of *jobs* that are still as they were read, in one statement."""
    read = [
        {
            "its_id": job.number,
            "its_owner": job.owner_id,
            "its_attempt": job.attempt.id if job.attempt else None,
            "its_status": job.status,
        }
        for job in jobs
    ]
    if read:
        connection.execute(sa.update(job_table).where(_IS_AS_READ).values(values), read)


_IS_AS_READ = sa.and_(
    job_table.c.id == sa.bindparam("its_id"),
    job_table.c.owner_id.is_not_distinct_from(sa.bindparam("its_owner")),
    job_table.c.attempt_id.is_not_distinct_from(sa.bindparam("its_attempt")),
    job_table.c.status == sa.bindparam("its_status"),
)


def _is_unmoved(job: Job) -> sa.ColumnElement[bool]:
    return sa.and_(_is_owned(job), job_table.c.status == job.status)


def _is_owned(job: Job) -> sa.ColumnElement[bool]:
    return sa.and_(
        job_table.c.id == job.number,
        job_table.c.owner_id.is_not_distinct_from(job.owner_id),
        job_table.c.attempt_id.is_not_distinct_from(job.attempt.id if job.attempt else None),
    )


def _moved(job: Job) -> JobMovedError:
    return JobMovedError(f"row {job.number} is no longer as it was read: somebody else has changed it")
