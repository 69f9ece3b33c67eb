"""After the end: results, and why a batch job failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
from openeo_jobs.storage.schema import attempt, backend, job, status_change

_UNFETCHED = (ResultsStatus.PENDING, ResultsStatus.DOWNLOADING)


class Endings:
    """What is left to do for jobs that have ended.

    What is stored of one job raises `JobMovedError` if that has another owner, or another attempt, meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, runner_id: int) -> list[Job]:
        """Return the runner's jobs that have ended, with a reason to fetch or a hook that did not return.

        Those whose results are still to come are left out.
        """
        are_here = sa.or_(job.c.results_status.is_(None), job.c.results_status.not_in(_UNFETCHED))
        return self._select(is_open(), are_here, job.c.owner_id == runner_id)

    def unfetched(
        self,
        runner_id: int,
        backend_names: Collection[str],
        *,
        at: datetime,
        besides: Collection[int],
        limit: int,
    ) -> list[Job]:
        """Return the first few of the runner's jobs whose results are to be fetched from these backends now.

        *besides* are the numbers of those that are under way.
        """
        return self._select(
            is_open(),
            job.c.owner_id == runner_id,
            job.c.results_status.in_(_UNFETCHED),
            sa.or_(job.c.results_not_before.is_(None), job.c.results_not_before <= at),
            backend.c.name.in_(backend_names),
            job.c.id.not_in(besides),
            limit=limit,
        )

    def count_unfetched(self, runner_id: int) -> dict[str, int]:
        """Count the runner's jobs whose results are still to be fetched, now or later, by backend."""
        select = (
            sa.select(backend.c.name, sa.func.count())
            .select_from(job)
            .join(attempt, attempt.c.id == job.c.attempt_id)
            .join(backend, backend.c.id == attempt.c.backend_id)
            .where(job.c.status == JobStatus.FINISHED, job.c.results_status.in_(_UNFETCHED))
            .where(job.c.owner_id == runner_id)
            .group_by(backend.c.name)
        )
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(select)}

    def of_others(self) -> list[Job]:
        """Return the open jobs that another manager has brought to their end, and that nobody acts on."""
        last = (
            sa.select(status_change.c.actor)
            .where(status_change.c.job_id == job.c.id)
            .order_by(status_change.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        return self._select(
            is_open(), is_free(), last == Actor.INTERFACE, attempt.c.hook_failed_runner_id.is_(None)
        )

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

    def _select(self, *conditions: sa.ColumnElement[bool], limit: int | None = None) -> list[Job]:
        select = SELECT_JOBS.where(*conditions).order_by(job.c.id).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
        return [job_from(row) for row in rows]

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
            sa.and_(job.c.status == JobStatus.FINISHED, job.c.results_status.in_(_UNFETCHED)),
            sa.and_(
                attempt.c.hook_returned_at.is_(None),
                job.c.results_status.is_distinct_from(ResultsStatus.FAILED),
            ),
        ),
    )


def _set_job(connection: sa.Connection, each: Job, **values: Any) -> None:
    connection.execute(sa.update(job).where(job.c.id == each.number).values(values))
