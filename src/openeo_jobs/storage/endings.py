"""After the end: results, and why a batch job failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import ErrorClass, Failure, Job, ResultsStatus
from openeo_jobs.status import ENDED, Actor, JobStatus
from openeo_jobs.storage.attempts import make_unexplained_failure
from openeo_jobs.storage.changes import check_unmoved
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import SELECT_JOBS, attempt_of, failure_values, job_from, update_each
from openeo_jobs.storage.runners import is_free
from openeo_jobs.storage.schema import attempt, job, status_change


class Endings:
    """What is left to do for jobs that have ended.

    What is stored of one job raises `JobMovedError` if that has another owner, or another attempt, meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, runner_id: int) -> list[Job]:
        """Return the runner's jobs that have ended, with results to fetch or a hook that did not return."""
        select = SELECT_JOBS.where(is_open(), job.c.owner_id == runner_id).order_by(job.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
        return [job_from(row) for row in rows]

    def of_others(self) -> list[Job]:
        """Return the open jobs that another manager has brought to their end, and that nobody acts on."""
        last = (
            sa.select(status_change.c.actor)
            .where(status_change.c.job_id == job.c.id)
            .order_by(status_change.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        select = SELECT_JOBS.where(
            is_open(), is_free(), last == Actor.INTERFACE, attempt.c.hook_failed_runner_id.is_(None)
        )
        with self._database.reading() as connection:
            rows = connection.execute(select.order_by(job.c.id)).all()
        return [job_from(row) for row in rows]

    def close(self, jobs: Sequence[Job], *, at: datetime) -> None:
        """Store that nothing is left to do for jobs that have ended: somebody else has done it."""
        failed = [attempt_of(each).id for each in jobs if each.status is JobStatus.ERROR]
        failure = make_unexplained_failure(ErrorClass.REMOTE_ERROR, at=at)
        with self._database.writing() as connection:
            numbers = [each.number for each in jobs if each.results_status is not None]
            update_each(connection, job, numbers, results_status=ResultsStatus.NOT_WANTED)
            update_each(connection, attempt, [attempt_of(each).id for each in jobs], hook_returned_at=at)
            update_each(connection, attempt, failed, **failure_values(failure))

    def record_downloading(self, each: Job) -> None:
        """Store that the results are being fetched."""
        self._set_job(each, results_status=ResultsStatus.DOWNLOADING)

    def record_download_failed(
        self, each: Job, *, message: str, tries: int, again_at: datetime | None
    ) -> None:
        """Store that something could not be fetched, and when it is tried again (None: not in this run)."""
        values: dict[str, Any] = {
            "results_tries": tries,
            "results_not_before": again_at,
            "results_error": message,
        }
        if each.results_status is not None:
            values["results_status"] = ResultsStatus.PENDING if again_at else ResultsStatus.FAILED
        self._set_job(each, **values)

    def record_failure(self, each: Job, failure: Failure) -> None:
        """Store why the batch job failed."""
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            update_each(connection, attempt, [attempt_of(each).id], **failure_values(failure))

    def _set_job(self, each: Job, **values: Any) -> None:
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            _set_job(connection, each, **values)


def is_open() -> sa.ColumnElement[bool]:
    """Return the condition for a job that has ended but is not complete; `SELECT_JOBS` joins its tables."""
    return sa.and_(
        job.c.status.in_(sorted(ENDED)),
        job.c.attempt_id.is_not(None),
        sa.or_(
            sa.and_(
                job.c.status == JobStatus.FINISHED,
                job.c.results_status.in_([ResultsStatus.PENDING, ResultsStatus.DOWNLOADING]),
            ),
            sa.and_(
                attempt.c.hook_returned_at.is_(None),
                job.c.results_status.is_distinct_from(ResultsStatus.FAILED),
            ),
        ),
    )


def _set_job(connection: sa.Connection, each: Job, **values: Any) -> None:
    connection.execute(sa.update(job).where(job.c.id == each.number).values(values))
