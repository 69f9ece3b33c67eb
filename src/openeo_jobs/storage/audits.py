"""What the database says of itself: whether it is whole, and which rows no run would do anything for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Outcome
from openeo_jobs.policy.audit import Facts
from openeo_jobs.status import ACTIVE, JobStatus
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.schema import attempt, backend, batch_job, job


class Audits:
    """Questions to which the answer should be: none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def facts(self) -> Facts:
        """Return the facts about the database, as of one instant."""
        with self._database.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            references = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            return Facts(
                rows=_count(connection, job),
                attempts=_count(connection, attempt),
                batch_jobs=_count(connection, batch_job, batch_job.c.batch_job_id.is_not(None)),
                corruptions=[str(page) for page in pages if page != "ok"],
                broken_references=len(references),
                misplaced=_rows(connection, attempt.c.job_id != job.c.id),
                shared=_shared(connection),
                stuck=_rows(connection, _IS_STUCK),
                waiting=_rows(connection, job.c.needs_person_since.is_not(None)),
                unknown=_unknown(connection),
            )

    def active(self, backend_name: str) -> dict[str, tuple[int, str | None]]:
        """Return the rows under way on a backend, by their batch jobs, each with its account."""
        select = (
            _of_jobs(batch_job.c.batch_job_id, job.c.id, attempt.c.account)
            .join(backend, backend.c.id == batch_job.c.backend_id)
            .where(job.c.status.in_(sorted(ACTIVE)), backend.c.name == backend_name)
        )
        with self._database.reading() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(select)}

    def count_untagged(self, backend_name: str) -> int:
        """Count the create requests to a backend that had no tag."""
        select = (
            sa.select(sa.func.count())
            .select_from(batch_job)
            .join(backend, backend.c.id == batch_job.c.backend_id)
            .where(backend.c.name == backend_name)
            .where(batch_job.c.sent_at.is_not(None), batch_job.c.tag.is_(None))
        )
        with self._database.reading() as connection:
            return int(connection.execute(select).scalar_one())


_IS_POLLED = batch_job.c.batch_job_id.is_not(None)
_IS_SETTLED_BY_A_RUN = sa.and_(
    job.c.status == JobStatus.SUBMITTING, attempt.c.id.is_not(None), attempt.c.chosen_id.is_(None)
)
"""Its owner finds out what became of it; one that nobody acts on is taken over by whoever comes."""
_IS_STUCK = sa.and_(
    job.c.status.in_(sorted(ACTIVE)),
    job.c.needs_person_since.is_(None),
    sa.not_(sa.or_(_IS_POLLED, _IS_SETTLED_BY_A_RUN)),
)


def _of_jobs(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(*columns)
        .select_from(job)
        .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
        .outerjoin(batch_job, batch_job.c.id == attempt.c.chosen_id)
    )


def _rows(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[int]:
    return [row[0] for row in connection.execute(_of_jobs(job.c.id).where(condition).order_by(job.c.id))]


def _count(connection: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    select = sa.select(sa.func.count()).select_from(table).where(*conditions)
    return int(connection.execute(select).scalar_one())


def _shared(connection: sa.Connection) -> dict[str, list[int]]:
    """Return the rows that are at the same batch job, as `start_job` may have it, by its id."""
    twice = sa.select(attempt.c.chosen_id).group_by(attempt.c.chosen_id).having(sa.func.count() > 1)
    select = (
        sa.select(batch_job.c.batch_job_id, attempt.c.job_id)
        .join(attempt, attempt.c.chosen_id == batch_job.c.id)
        .where(batch_job.c.id.in_(twice))
        .distinct()
        .order_by(batch_job.c.id, attempt.c.job_id)
    )
    rows: dict[str, list[int]] = {}
    for batch_job_id, number in connection.execute(select):
        rows.setdefault(batch_job_id, []).append(number)
    return {one: numbers for one, numbers in rows.items() if len(numbers) > 1}


def _unknown(connection: sa.Connection) -> list[int]:
    select = (
        sa.select(attempt.c.job_id)
        .join(batch_job, batch_job.c.attempt_id == attempt.c.id)
        .where(batch_job.c.outcome == Outcome.UNKNOWN, batch_job.c.batch_job_id.is_(None))
        .distinct()
        .order_by(attempt.c.job_id)
    )
    return list(connection.execute(select).scalars())
