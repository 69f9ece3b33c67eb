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
    """Change *job* to *new* if it is still as it was read (status and owner), and set *values* with it.

    Raises `JobMovedError` if the row has moved meanwhile, `StatusChangeError` if the graph forbids it.
    """
    if new != job.status:
        values |= {"status": new, "status_since": at, "change_actor": actor, "change_reason": reason}
    if not values:
        return
    statement = (
        sa.update(job_table)
        .where(job_table.c.id == job.number, job_table.c.status == job.status)
        .where(job_table.c.owner_id.is_not_distinct_from(job.owner_id))
        .values(values)
    )
    try:
        changed = connection.execute(statement).rowcount
    except sa.exc.IntegrityError as error:
        raise StatusChangeError(
            f"row {job.number}: {actor} may not change {job.status} to {new} ({error.orig})"
        ) from error
    if changed != 1:
        raise JobMovedError(f"row {job.number} is no longer {job.status}: somebody else has changed it")


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
