"""Cancellations: asked for by a user, or because a job has run for too long; kept until they are done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.canceling import STOPPABLE, Handling, handle
from openeo_jobs.status import ACTIVE, Actor, JobStatus
from openeo_jobs.storage.changes import change_status, check_owned
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import SELECT_JOBS, attempt_of, job_from
from openeo_jobs.storage.schema import attempt, backend, batch_job, job


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """The numbers of the rows that were canceled at once, those whose backend is asked, those left alone."""

    at_once: list[int] = field(default_factory=list)
    by_backend: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAnswer:
    """What a backend said when it was asked to cancel; *error*: why it did not; *again_at*: the next time."""

    job: Job
    again_at: datetime
    error: str | None = None


class Cancellations:
    """Columns `job.cancel_requested_at`, and `cancel_...` of attempts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(self, numbers: Iterable[int], *, reason: str, at: datetime) -> Requested:
        """Cancel the rows with these *numbers* for a user, whoever acts on them now.

        What has not begun is `canceled` at once; of the others it is stored, and a run does it.
        """
        requested = Requested()
        with self._database.writing() as connection:
            for number in numbers:
                each = job_from(connection.execute(SELECT_JOBS.where(job.c.id == number)).one())
                handling = handle(each, may_run=_may_run(connection, each))
                if handling is Handling.AT_ONCE:
                    cancel_unstarted(connection, each, at=at, reason=reason, actor=Actor.USER)
                    requested.at_once.append(number)
                elif handling is Handling.BY_BACKEND:
                    _request(connection, each, at=at)
                    requested.by_backend.append(number)
                else:
                    requested.left.append(number)
        return requested

    def request_overdue(self, each: Job, *, at: datetime) -> None:
        """Store that a job which has run for too long is to be canceled; the backend has the last word."""
        with self._database.writing() as connection:
            change_status(connection, each, each.status, at=at, cancel_requested_at=at)

    def settle(self, *, at: datetime) -> list[int]:
        """Cancel the rows that were to be canceled, and have come to wait for a person meanwhile."""
        select = SELECT_JOBS.where(
            job.c.cancel_requested_at.is_not(None),
            job.c.needs_person_since.is_not(None),
            job.c.status == JobStatus.SUBMITTING,
        )
        with self._database.reading() as connection:
            waiting = [
                each
                for each in map(job_from, connection.execute(select).all())
                if handle(each, may_run=_may_run(connection, each)) is Handling.AT_ONCE
            ]
        if not waiting:
            return []
        numbers = [each.number for each in waiting]
        return self.request(numbers, reason="canceled while its creation was in doubt", at=at).at_once

    def due(self, backend_names: Collection[str], *, runner_id: int, at: datetime) -> list[Job]:
        """Return the runner's jobs that these backends are to be asked now to cancel."""
        select = (
            SELECT_JOBS.where(job.c.cancel_requested_at.is_not(None), job.c.owner_id == runner_id)
            .where(job.c.status.in_(sorted(STOPPABLE)), job.c.needs_person_since.is_(None))
            .where(sa.or_(attempt.c.cancel_not_before.is_(None), attempt.c.cancel_not_before <= at))
            .where(backend.c.name.in_(list(backend_names)), batch_job.c.batch_job_id.is_not(None))
            .order_by(job.c.id)
        )
        with self._database.reading() as connection:
            return [job_from(row) for row in connection.execute(select)]

    def record(self, answers: Sequence[StopAnswer]) -> None:
        """Store what backends said; of a row that somebody else has taken over, nothing."""
        with self._database.writing() as connection:
            for answer in answers:
                try:
                    _record(connection, answer)
                except JobMovedError:
                    continue


def is_canceling() -> sa.ColumnElement[bool]:
    """Return the condition for a row that is to be canceled, and is not yet."""
    return sa.and_(job.c.cancel_requested_at.is_not(None), job.c.status.in_(sorted(ACTIVE)))


def is_cancel_requested(connection: sa.Connection, each: Job) -> bool:
    """Say whether *each* is to be canceled, as it is now."""
    select = sa.select(job.c.cancel_requested_at).where(job.c.id == each.number)
    return connection.execute(select).scalar() is not None


def cancel_unstarted(
    connection: sa.Connection, each: Job, *, at: datetime, reason: str, actor: Actor = Actor.TRACKER
) -> None:
    """Store that a row of which nothing was started is canceled; there is nothing to call a hook for."""
    if each.attempt is not None:
        _set_attempt(connection, each, ended_at=each.attempt.ended_at or at, hook_returned_at=at)
    change_status(
        connection,
        each,
        JobStatus.CANCELED,
        at=at,
        actor=actor,
        reason=reason,
        cancel_requested_at=each.cancel_requested_at or at,
        needs_person_since=None,
        needs_person_reason=None,
    )


def _request(connection: sa.Connection, each: Job, *, at: datetime) -> None:
    """Store the request; one that is repeated lets the backend be asked at once."""
    change_status(connection, each, each.status, at=at, cancel_requested_at=each.cancel_requested_at or at)
    _set_attempt(connection, each, cancel_tries=0, cancel_not_before=None)


def _may_run(connection: sa.Connection, each: Job) -> bool:
    """Say whether `start_job` has asked for the start of a batch job of the latest attempt."""
    if each.attempt is None:
        return False
    started = sa.select(batch_job.c.id).where(
        batch_job.c.attempt_id == each.attempt.id, batch_job.c.start_sent_at.is_not(None)
    )
    return connection.execute(started.limit(1)).first() is not None


def _record(connection: sa.Connection, answer: StopAnswer) -> None:
    check_owned(connection, answer.job)
    tries = attempt_of(answer.job).cancel_tries + 1
    _set_attempt(
        connection,
        answer.job,
        cancel_tries=tries,
        cancel_not_before=answer.again_at,
        cancel_error=answer.error,
    )


def _set_attempt(connection: sa.Connection, each: Job, **values: Any) -> None:
    connection.execute(sa.update(attempt).where(attempt.c.id == attempt_of(each).id).values(values))
