"""Create requests: the intent before, the outcome after, and the batch job that an attempt chooses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import BatchJob, Failure, Job, Outcome
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.attempts import find_or_insert_batch_job, insert_batch_job
from openeo_jobs.storage.cancellations import cancel_unstarted, is_cancel_requested
from openeo_jobs.storage.changes import change_status, check_unmoved
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.logins import account_of
from openeo_jobs.storage.rows import (
    SELECT_BATCH_JOBS,
    SELECT_JOBS,
    attempt_of,
    batch_job_from,
    failure_values,
    job_from,
    load,
)
from openeo_jobs.storage.schema import attempt, backend, batch_job, job

_NO_PERSON: dict[str, Any] = dict.fromkeys(("needs_person_since", "needs_person_reason"))


class Creations:
    """From `submitting` to `created`, or back, or to an end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_intent(
        self, each: Job, *, backend_name: str, fingerprint: str, tag: str | None, at: datetime
    ) -> int:
        """Store that a create request is about to leave; return the number of its batch job.

        The attempt belongs to the backend, and to the account, through which the request leaves. Raises
        `JobMovedError` where the job was taken over meanwhile: then the request must not leave.
        """
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            backend_id = _backend_id(connection, backend_name)
            account = account_of(each.owner_id, backend_id)
            connection.execute(
                sa.update(attempt)
                .where(attempt.c.id == attempt_of(each).id)
                .values(backend_id=backend_id, account=account)
            )
            return insert_batch_job(
                connection,
                attempt_id=attempt_of(each).id,
                backend_id=backend_id,
                fingerprint=fingerprint,
                tag=tag,
                sent_at=at,
                outcome=Outcome.UNKNOWN,
            )

    def record_outcome(
        self, number: int, *, outcome: Outcome, batch_job_id: str | None, at: datetime
    ) -> None:
        """Store what became of the create request with this *number*, whoever acts on its job now.

        What was found out meanwhile stays, but a batch job that is there was created.
        """
        with self._database.writing() as connection:
            if batch_job_id is not None and _is_known(connection, number, batch_job_id):
                outcome, batch_job_id = Outcome.COPY, None
            known = connection.execute(sa.select(batch_job).where(batch_job.c.id == number)).one()
            if known.outcome == Outcome.UNKNOWN or (batch_job_id and known.batch_job_id is None):
                _update_batch_job(connection, number, outcome=outcome, batch_job_id=batch_job_id, ended_at=at)

    def record_start_sent(
        self, each: Job, *, backend_name: str, batch_job_id: str, at: datetime | None
    ) -> None:
        """Store that a callback itself asks for a start, or (*at* None) that this was definitely refused.

        Raises `JobMovedError` where the job was taken over meanwhile: then the request must not leave.
        """
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            number = _find_or_insert(connection, each, backend_name, batch_job_id, at=at)
            connection.execute(sa.update(batch_job).where(batch_job.c.id == number).values(start_sent_at=at))

    def choose(self, each: Job, *, backend_name: str, batch_job_id: str, at: datetime) -> Job:
        """Make the batch job that the callback returned the attempt's; return the job as it is now.

        What this attempt created is `created`, or `queued_for_start` if the callback started it. A batch job
        that came from elsewhere leaves the job `submitting` until its backend was asked what it is.
        """
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            number = _find_or_insert(connection, each, backend_name, batch_job_id, at=at)
            chosen = connection.execute(sa.select(batch_job).where(batch_job.c.id == number)).one()
            _choose(connection, each, number, backend_id=chosen.backend_id, at=at)
            is_ours = chosen.attempt_id == attempt_of(each).id and chosen.outcome == Outcome.CREATED
            if is_ours:
                is_started = chosen.start_sent_at is not None
                new = JobStatus.QUEUED_FOR_START if is_started else JobStatus.CREATED
                change_status(connection, each, new, at=at)
            return load(connection, each)

    def adopt(
        self, each: Job, number: int, *, at: datetime, reason: str, status: JobStatus = JobStatus.CREATED
    ) -> None:
        """Make a batch job that was found the attempt's."""
        with self._database.writing() as connection:
            backend_id = connection.execute(
                sa.select(batch_job.c.backend_id).where(batch_job.c.id == number)
            ).scalar_one()
            _choose(connection, each, number, backend_id=backend_id, at=at)
            change_status(connection, each, status, at=at, reason=reason, **_NO_PERSON)

    def skip(self, each: Job, *, at: datetime) -> None:
        """Store that the callback returned None."""
        with self._database.writing() as connection:
            _end_attempt(connection, each, at=at)
            change_status(connection, each, JobStatus.SKIPPED, at=at, reason="start_job returned None")

    def fail(self, each: Job, failure: Failure, *, at: datetime) -> None:
        """Store that the job could not be created or started, for a definite reason."""
        with self._database.writing() as connection:
            _end_attempt(connection, each, at=at, failure=failure)
            change_status(
                connection, each, JobStatus.START_FAILED, at=at, reason=failure.message, **_NO_PERSON
            )

    def release(
        self,
        each: Job,
        *,
        at: datetime,
        reason: str,
        failure: Failure | None = None,
        not_before: datetime | None = None,
    ) -> None:
        """Put a job of which nothing was created back in line, unless it is to be canceled."""
        with self._database.writing() as connection:
            _end_attempt(connection, each, at=at, failure=failure)
            if is_cancel_requested(connection, each):
                cancel_unstarted(connection, each, at=at, reason="canceled; nothing was created")
                return
            change_status(
                connection, each, JobStatus.NOT_STARTED, at=at, reason=reason, not_before=not_before
            )

    def ask_person(self, each: Job, *, reason: str, at: datetime) -> None:
        """Let a job wait for a person; it holds no slot meanwhile."""
        with self._database.writing() as connection:
            change_status(connection, each, each.status, at=at, needs_person_since=at,
                          needs_person_reason=reason)  # fmt: skip

    def need_no_person(self, each: Job, *, at: datetime) -> None:
        """Let a job that waited for a person go on by itself."""
        with self._database.writing() as connection:
            change_status(connection, each, each.status, at=at, **_NO_PERSON)

    def unresolved(self, runner_id: int) -> list[tuple[Job, list[BatchJob]]]:
        """Return the jobs whose `start_job` did not return, with the create requests of their attempt.

        Those that wait for a person are among them: what is found out meanwhile may settle them.
        """
        with self._database.reading() as connection:
            jobs = [
                job_from(row)
                for row in connection.execute(
                    SELECT_JOBS.where(job.c.status == JobStatus.SUBMITTING, job.c.owner_id == runner_id)
                    .where(attempt.c.chosen_id.is_(None))
                    .order_by(job.c.id)
                )
            ]
            posts = connection.execute(
                SELECT_BATCH_JOBS.join(job, job.c.attempt_id == batch_job.c.attempt_id)
                .add_columns(job.c.id)
                .where(job.c.status == JobStatus.SUBMITTING)
                .order_by(batch_job.c.id)
            ).all()
        by_job: dict[int, list[BatchJob]] = {}
        for row in posts:
            by_job.setdefault(row._mapping[job.c.id], []).append(batch_job_from(row))
        return [(each, by_job.get(each.number, [])) for each in jobs]

    def record_found(self, each: Job, number: int, batch_job_id: str) -> None:
        """Store the id of a batch job that a listing showed under its tag.

        If it is known already (the callback has found it, too), the request is a copy of that one.
        """
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            if _is_known(connection, number, batch_job_id):
                _update_batch_job(connection, number, outcome=Outcome.COPY)
            else:
                _update_batch_job(connection, number, outcome=Outcome.ADOPTED, batch_job_id=batch_job_id)

    def end_open_requests(self, runner_id: int, *, at: datetime) -> None:
        """Store that no create request of the runner is under way: what has no outcome is unknown."""
        owned = sa.select(job.c.attempt_id).where(job.c.owner_id == runner_id)
        with self._database.writing() as connection:
            connection.execute(
                sa.update(batch_job)
                .where(batch_job.c.outcome == Outcome.UNKNOWN, batch_job.c.ended_at.is_(None))
                .where(batch_job.c.attempt_id.in_(owned))
                .values(ended_at=at)
            )

    def record_copy(self, each: Job, *, backend_name: str, batch_job_id: str, at: datetime) -> None:
        """Store one more batch job that a create request of the job's attempt has made."""
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            _find_or_insert(connection, each, backend_name, batch_job_id, at=at, outcome=Outcome.COPY)

    def record_absent(self, each: Job | None, number: int, *, at: datetime) -> None:
        """Store that a first complete listing did not contain the tag of a create request.

        *each* is its job, if that still waits for the outcome.
        """
        self._settle(each, number, absent_since=at)

    def record_not_created(self, each: Job | None, number: int) -> None:
        """Store that a create request is proved to have created nothing."""
        self._settle(each, number, outcome=Outcome.NOT_CREATED)

    def _settle(self, each: Job | None, number: int, **values: Any) -> None:
        with self._database.writing() as connection:
            if each is not None:
                check_unmoved(connection, each)
            _update_batch_job(connection, number, **values)


def _update_batch_job(connection: sa.Connection, number: int, **values: Any) -> None:
    connection.execute(sa.update(batch_job).where(batch_job.c.id == number).values(values))


def _is_known(connection: sa.Connection, number: int, batch_job_id: str) -> bool:
    """Say whether another line than *number* already has this id, on the same backend."""
    backend_id = sa.select(batch_job.c.backend_id).where(batch_job.c.id == number).scalar_subquery()
    select = sa.select(batch_job.c.id).where(
        batch_job.c.backend_id == backend_id,
        batch_job.c.batch_job_id == batch_job_id,
        batch_job.c.id != number,
    )
    return connection.execute(select).first() is not None


def _backend_id(connection: sa.Connection, name: str) -> int:
    return int(connection.execute(sa.select(backend.c.id).where(backend.c.name == name)).scalar_one())


def _find_or_insert(
    connection: sa.Connection,
    each: Job,
    backend_name: str,
    batch_job_id: str,
    *,
    at: datetime | None,
    outcome: Outcome = Outcome.RETURNED,
) -> int:
    return find_or_insert_batch_job(
        connection,
        attempt_id=attempt_of(each).id,
        backend_id=_backend_id(connection, backend_name),
        batch_job_id=batch_job_id,
        outcome=outcome,
        at=at,
    )


_NO_FAILURE: dict[str, None] = dict.fromkeys(
    ("error_class", "error_message", "error_http_status", "error_code", "error_at", "failure_key")
)
"""An attempt whose creation was in doubt has not failed once its batch job is known."""


def _choose(connection: sa.Connection, each: Job, number: int, *, backend_id: int, at: datetime) -> None:
    known = sa.case((attempt.c.backend_id == backend_id, attempt.c.account))
    account = sa.func.coalesce(account_of(each.owner_id, backend_id), known)
    connection.execute(
        sa.update(attempt)
        .where(attempt.c.id == attempt_of(each).id)
        .values(chosen_id=number, backend_id=backend_id, account=account, start_time=at, **_NO_FAILURE)
    )


def _end_attempt(
    connection: sa.Connection, each: Job, *, at: datetime, failure: Failure | None = None
) -> None:
    values: dict[str, Any] = {"ended_at": at}
    if failure is not None:
        values |= failure_values(failure)
    connection.execute(sa.update(attempt).where(attempt.c.id == attempt_of(each).id).values(values))
