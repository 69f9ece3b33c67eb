"""Adoptions: a person says which batch job is a row's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import AdoptionError
from openeo_jobs.jobs import Job, Outcome
from openeo_jobs.status import FINAL, Actor, JobStatus
from openeo_jobs.storage.attempts import find_or_insert_batch_job, insert_attempt
from openeo_jobs.storage.changes import change_status
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import load
from openeo_jobs.storage.schema import attempt, backend, batch_job

_ANEW: dict[str, Any] = dict.fromkeys(
    ("ended_at", "error_class", "error_message", "error_http_status", "error_code", "error_at", "failure_key")
)
"""An attempt that was taken to have failed has not, once its batch job is known."""


class Adoptions:
    """From a row that waits, or is over, to one whose batch job its backend is asked about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def adopt(
        self,
        each: Job,
        *,
        backend_name: str,
        batch_job_id: str,
        reason: str,
        at: datetime,
        account: str | None = None,
    ) -> None:
        """Make a batch job a row's; the row is `submitting` until its backend was asked what it is.

        The next round of a run asks: of one of *account*, which sees the batch job. Where that is not given,
        it is the account that has created the batch job, or found it in a listing; if nobody knows, any.
        Raises `AdoptionError` where the row is under way or finished, and where the batch job is another
        one's; `JobMovedError` where the row has moved meanwhile.
        """
        _check(each)
        with self._database.writing() as connection:
            backend_id = connection.execute(
                sa.select(backend.c.id).where(backend.c.name == backend_name)
            ).scalar()
            if backend_id is None:
                raise AdoptionError(f"the campaign has no backend {backend_name!r}")
            _check_free(connection, backend_id, batch_job_id)
            if each.status is not JobStatus.NOT_STARTED:
                change_status(connection, each, JobStatus.NOT_STARTED, at=at, actor=Actor.USER, reason=reason)
            waiting = load(connection, each)
            attempt_id = _find_or_insert_attempt(connection, waiting, backend_id, batch_job_id, at=at)
            number = find_or_insert_batch_job(
                connection, attempt_id=attempt_id, backend_id=backend_id, batch_job_id=batch_job_id,
                outcome=Outcome.ADOPTED, at=at,
            )  # fmt: skip
            values = {"chosen_id": number, "backend_id": backend_id, "start_time": at, **_ANEW}
            values["account"] = account or _find_account(connection, number)
            connection.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(values))
            change_status(
                connection, waiting, JobStatus.SUBMITTING, at=at, actor=Actor.USER, reason=reason,
                attempt_id=attempt_id, not_before=None, needs_person_since=None, needs_person_reason=None,
            )  # fmt: skip


def can_adopt(each: Job) -> bool:
    """Say whether a person may give a row another batch job: it waits, or ended without results."""
    if each.status is JobStatus.NOT_STARTED:
        return True
    if each.status is JobStatus.SUBMITTING:
        return each.needs_person_since is not None
    return each.status in FINAL - {JobStatus.FINISHED}


def _check(each: Job) -> None:
    if not can_adopt(each):
        raise AdoptionError(
            f"row {each.number} is {each.status}; a batch job is adopted for a row that waits or has failed"
        )


def _check_free(connection: sa.Connection, backend_id: int, batch_job_id: str) -> None:
    choice = (
        sa.select(attempt.c.job_id)
        .join(batch_job, batch_job.c.id == attempt.c.chosen_id)
        .where(batch_job.c.backend_id == backend_id, batch_job.c.batch_job_id == batch_job_id)
    )
    row = connection.execute(choice).scalar()
    if row is not None:
        raise AdoptionError(f"batch job {batch_job_id} is that of row {row} already")


def _find_account(connection: sa.Connection, number: int) -> str | None:
    """Return the account that has created a batch job, or found it in a listing; None where nobody knows."""
    its = sa.select(attempt.c.account).join(batch_job, batch_job.c.attempt_id == attempt.c.id)
    return connection.execute(its.where(batch_job.c.id == number)).scalar()


def _find_or_insert_attempt(
    connection: sa.Connection, each: Job, backend_id: int, batch_job_id: str, *, at: datetime
) -> int:
    """Return the row's latest attempt if it made that batch job, and chose none; else a new one."""
    latest = sa.select(sa.func.max(attempt.c.id)).where(attempt.c.job_id == each.number)
    made_it = connection.execute(
        sa.select(attempt.c.id)
        .join(batch_job, batch_job.c.attempt_id == attempt.c.id)
        .where(attempt.c.id == latest.scalar_subquery(), attempt.c.chosen_id.is_(None))
        .where(batch_job.c.backend_id == backend_id, batch_job.c.batch_job_id == batch_job_id)
    ).scalar()
    return made_it or insert_attempt(connection, each.number, backend_id=backend_id, began_at=at)
