"""Hooks: which have returned, which have raised, and which have failed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import HookStatus, Job, ResultsStatus
from openeo_jobs.status import ENDED, JobStatus
from openeo_jobs.storage.changes import check_unmoved
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import SELECT_JOBS, attempt_of, job_from, load, update_each
from openeo_jobs.storage.schema import attempt, job


class Hooks:
    """The hooks for the ends of jobs.

    What is stored of one raises `JobMovedError` if its job has another owner, or another attempt, meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, each: Job) -> Job | None:
        """Return *each* as it is now; None if its owner, attempt or status is another, or its hook over."""
        with self._database.reading() as connection:
            try:
                check_unmoved(connection, each)
            except JobMovedError:
                return None
            now = load(connection, each)
        return now if attempt_of(now).hook_returned_at is None else None

    def record_returned(self, each: Job, *, at: datetime) -> None:
        """Store that the hook has returned."""
        self._set(each, hook_returned_at=at, hook_error=None, **_ANEW)

    def record_raised(
        self, each: Job, *, message: str, tries: int, again_at: datetime | None, runner_id: int
    ) -> None:
        """Store that the hook raised for so many *tries*, and when it is called again.

        None: it has failed, and the runner calls it no more; the next one does.
        """
        self._set(
            each,
            hook_error=message,
            hook_tries=tries,
            hook_not_before=again_at,
            hook_failed_runner_id=runner_id if again_at is None else None,
        )

    def failed(self) -> list[Job]:
        """Return the jobs whose hook has failed."""
        select = SELECT_JOBS.where(job.c.status.in_(sorted(ENDED)), has_failed()).order_by(job.c.id)
        with self._database.reading() as connection:
            return [job_from(row) for row in connection.execute(select)]

    def retry(self, jobs: Collection[Job]) -> None:
        """Let the hooks of these jobs be called again, as often as at first."""
        with self._database.writing() as connection:
            update_each(connection, attempt, [attempt_of(each).id for each in jobs], **_ANEW)

    def _set(self, each: Job, **values: Any) -> None:
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            connection.execute(sa.update(attempt).where(attempt.c.id == attempt_of(each).id).values(values))


_ANEW = {"hook_tries": 0, "hook_not_before": None, "hook_failed_runner_id": None}


def has_failed() -> sa.ColumnElement[bool]:
    """Return the condition for a hook that is not called again in the run of its last try."""
    return sa.and_(attempt.c.hook_returned_at.is_(None), attempt.c.hook_failed_runner_id.is_not(None))


def is_hook_awaited() -> sa.ColumnElement[bool]:
    """Return the condition for a finished job with everything here but the return of its hook."""
    return sa.and_(
        job.c.status == JobStatus.FINISHED,
        job.c.results_status.in_([ResultsStatus.DOWNLOADED, ResultsStatus.NOT_WANTED]),
        attempt.c.id.is_not(None),
        attempt.c.hook_returned_at.is_(None),
    )


def count_by_hook(connection: sa.Connection) -> dict[HookStatus, int]:
    """Count the finished jobs that lack nothing but the return of their hook."""
    word = sa.case((has_failed(), HookStatus.FAILED.value), else_=HookStatus.DUE.value)
    rows = connection.execute(
        sa.select(word, sa.func.count())
        .select_from(job)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .where(is_hook_awaited(), job.c.user_status.is_(None))
        .group_by(word)
    )
    return {HookStatus(row[0]): row[1] for row in rows}
