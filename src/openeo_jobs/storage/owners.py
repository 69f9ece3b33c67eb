"""Owners: what nobody acts on, or a runner that has ended, goes to exactly one that is alive."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.status import ACTIVE, JobStatus
from openeo_jobs.storage.changes import check_unmoved
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.endings import is_open
from openeo_jobs.storage.logins import is_within_reach
from openeo_jobs.storage.rows import update_each
from openeo_jobs.storage.runners import is_free, is_in_charge
from openeo_jobs.storage.schema import attempt, backend, batch_job, job


class Owners:
    """Column `job.owner_id`, for rows that are on their way or have something left to do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_over(self, runner_id: int, backend_names: Collection[str], *, at: datetime) -> int:
        """Hand the runner the rows on these backends that nobody acts on; return how many.

        Those of another account than its own stay as they are: it could only judge them wrongly.
        Their create requests that were on the wire have ended for us. Results that could not be fetched are
        tried anew.
        """
        select = _free_rows(runner_id, backend_names)
        with self._database.reading() as connection:
            if connection.execute(select.limit(1)).first() is None:
                return 0
        with self._database.writing() as connection:
            if not is_in_charge(connection, runner_id):
                return 0
            taken = connection.execute(select).all()
            update_each(connection, job, [row.id for row in taken], owner_id=runner_id)
            if taken:
                connection.execute(_TRY_RESULTS_ANEW, [{"its_id": row.id} for row in taken])
                ended = [{"its_id": row.attempt_id, "its_end": at} for row in taken]
                connection.execute(_END_REQUESTS, ended)
        return len(taken)

    def take(self, runner_id: int, jobs: Iterable[Job]) -> list[Job]:
        """Make the runner the owner of those of *jobs* that it may have; return those that it owns now.

        It may have those that are as they were read, that nobody acts on, and that its logins can reach.
        """
        jobs = list(jobs)
        free = [each for each in jobs if each.owner_id != runner_id]
        owned = [each for each in jobs if each.owner_id == runner_id]
        if not free:
            return owned
        with self._database.writing() as connection:
            if is_in_charge(connection, runner_id):
                owned += [
                    _take(connection, each, runner_id)
                    for each in free
                    if _may_take(connection, each, runner_id)
                ]
        return sorted(owned, key=lambda each: each.number)

    def holds(self, each: Job) -> bool:
        """Say whether *each* is as it was read, its owner included."""
        with self._database.reading() as connection:
            try:
                check_unmoved(connection, each)
            except JobMovedError:
                return False
        return True


_TRY_RESULTS_ANEW = (
    sa.update(job)
    .where(job.c.id == sa.bindparam("its_id"), job.c.status == JobStatus.FINISHED)
    .where(
        sa.or_(*(job.c.results_status == one for one in (ResultsStatus.DOWNLOADING, ResultsStatus.FAILED)))
    )
    .values(results_status=ResultsStatus.PENDING, results_tries=0, results_not_before=None)
)
_END_REQUESTS = (
    sa.update(batch_job)
    .where(batch_job.c.attempt_id == sa.bindparam("its_id"))
    .where(batch_job.c.sent_at.is_not(None), batch_job.c.ended_at.is_(None))
    .values(ended_at=sa.bindparam("its_end"))
)


def _free_rows(runner_id: int, backend_names: Collection[str]) -> sa.Select[tuple[int, int | None]]:
    """Select the rows with something left to do that nobody acts on, and that the runner can reach."""
    given_up = sa.and_(job.c.status == JobStatus.FINISHED, job.c.results_status == ResultsStatus.FAILED)
    return (
        sa.select(job.c.id, job.c.attempt_id)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .join(backend, backend.c.id == attempt.c.backend_id)
        .where(backend.c.name.in_(list(backend_names)), is_free(), is_within_reach(runner_id))
        .where(sa.or_(job.c.status.in_(sorted(ACTIVE)), is_open(), given_up))
        .order_by(job.c.id)
    )


def _may_take(connection: sa.Connection, each: Job, runner_id: int) -> bool:
    try:
        check_unmoved(connection, each)
    except JobMovedError:
        return False
    select = sa.select(job.c.id).join(attempt, attempt.c.id == job.c.attempt_id)
    select = select.where(job.c.id == each.number, is_free(), is_within_reach(runner_id))
    return connection.execute(select).first() is not None


def _take(connection: sa.Connection, each: Job, runner_id: int) -> Job:
    connection.execute(sa.update(job).where(job.c.id == each.number).values(owner_id=runner_id))
    return replace(each, owner_id=runner_id)
