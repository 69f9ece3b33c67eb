"""From `created` to the end: starts, what the backends say, cancellations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import ErrorClass, Failure, Job, ResultsStatus
from openeo_jobs.status import ENDED, STARTED, JobStatus
from openeo_jobs.storage.assets import make_pending
from openeo_jobs.storage.cancellations import is_cancel_requested
from openeo_jobs.storage.changes import change_status, check_unmoved, is_owned
from openeo_jobs.storage.claims import count_held
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.logins import account_of_owner
from openeo_jobs.storage.rows import attempt_of, failure_values, load, update_each
from openeo_jobs.storage.schema import attempt, backend, batch_job


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One job's progress: its new status, and what the backend said with it."""

    job: Job
    status: JobStatus
    word: str
    reason: str | None = None
    created_seen_at: datetime | None = None
    may_start_again: bool = False
    costs: float | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    """Why it is over, where that is not the word of the backend."""
    results_status: ResultsStatus | None = None
    """What becomes of the results, where the job has just finished."""
    backend_times: Mapping[str, datetime] = field(default_factory=dict)
    """The columns of the attempt with times that the backend tells."""


class Progress:
    """Batch jobs on their way."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_start(self, each: Job, *, at: datetime, cap: int | None = None) -> Job:
        """Store that the start is about to be asked for; return the job as it is now.

        Raises `JobMovedError` if the job has moved, if it is to be canceled, or if *cap* of its backend are
        started meanwhile.
        """
        with self._database.writing() as connection:
            if is_cancel_requested(connection, each):
                raise JobMovedError(f"row {each.number} is to be canceled: it is not started")
            name = str(each.backend_name)
            held = count_held(connection, STARTED, runner_id=each.owner_id)
            if cap is not None and held.get(name, 0) >= cap:
                raise JobMovedError(f"row {each.number}: no slot is free on {name} any more")
            begun = connection.execute(
                sa.update(batch_job)
                .where(batch_job.c.id == _chosen(each), batch_job.c.start_sent_at.is_(None))
                .values(start_sent_at=at)
            )
            if begun.rowcount != 1:
                raise JobMovedError(f"row {each.number}: its batch job is being started for another row")
            change_status(connection, each, JobStatus.QUEUED_FOR_START, at=at)
            return load(connection, each)

    def refuse_start(self, each: Job, *, at: datetime, reason: str) -> None:
        """Store that the start was definitely refused for now; it will be asked for again."""
        with self._database.writing() as connection:
            _set_batch_job(connection, each, start_sent_at=None)
            change_status(connection, each, JobStatus.CREATED, at=at, reason=reason)

    def record(self, steps: Sequence[Step], *, at: datetime) -> list[Job]:
        """Store what the backends said, in one transaction; return the jobs that had moved meanwhile."""
        moved = []
        with self._database.writing() as connection:
            for step in steps:
                try:
                    _record(connection, step, at=at)
                except JobMovedError:
                    moved.append(step.job)
        return moved

    def record_not_found(self, jobs: Sequence[Job], *, at: datetime) -> None:
        """Store that the backend does not know these batch jobs, for now."""
        with self._database.writing() as connection:
            update_each(
                connection,
                attempt,
                [attempt_of(each).id for each in jobs if is_owned(connection, each)],
                not_found_since=sa.func.coalesce(attempt.c.not_found_since, sa.literal(at, _INSTANT)),
                not_found_count=attempt.c.not_found_count + 1,
            )

    def record_lost(self, each: Job, *, at: datetime) -> None:
        """Store that the backend no longer knows the batch job."""
        message = "the backend no longer knows the batch job"
        failure = Failure(error_class=ErrorClass.PERMANENT, message=message, at=at, key=message)
        with self._database.writing() as connection:
            connection.execute(
                sa.update(attempt)
                .where(attempt.c.id == attempt_of(each).id)
                .values(ended_at=at, **failure_values(failure))
            )
            change_status(connection, each, JobStatus.LOST, at=at, reason=message)


_INSTANT = attempt.c.not_found_since.type
_NO_FAILURE = dict.fromkeys(
    ("error_class", "error_message", "error_http_status", "error_code", "error_at", "failure_key")
)
_CURRENCY = sa.select(backend.c.currency).where(backend.c.id == attempt.c.backend_id).scalar_subquery()


def _record(connection: sa.Connection, step: Step, *, at: datetime) -> None:
    values: dict[str, Any] = {}
    if step.status is not step.job.status and JobStatus.FINISHED in (step.status, step.job.status):
        results_status = step.results_status if step.status is JobStatus.FINISHED else None
        values = {"results_status": results_status, "results_tries": 0}
        values |= {"results_not_before": None, "results_error": None}
    change_status(connection, step.job, step.status, at=at, reason=step.reason, **values)
    if values:
        make_pending(connection, attempt_of(step.job).id)
    changed = _attempt_changes(step, at=at)
    if "costs" in changed:
        changed["currency"] = _CURRENCY
    if changed:
        check_unmoved(connection, replace(step.job, status=step.status))
        changed["account"] = sa.func.coalesce(attempt.c.account, account_of_owner(step.job.owner_id))
        connection.execute(sa.update(attempt).where(attempt.c.id == attempt_of(step.job).id).values(changed))
    if step.may_start_again:
        _set_batch_job(connection, step.job, start_sent_at=None, vain_starts=batch_job.c.vain_starts + 1)


def _attempt_changes(step: Step, *, at: datetime) -> dict[str, Any]:
    """Return the columns of the attempt that differ now."""
    old = attempt_of(step.job)
    new: dict[str, Any] = {
        "backend_status": step.word,
        "created_seen_at": step.created_seen_at,
        "not_found_since": None,
        "not_found_count": 0,
    }
    new |= step.backend_times
    if step.costs is not None:
        new |= {"costs": step.costs}
    if step.usage:
        new["usage"] = step.usage
    if step.status is JobStatus.RUNNING and old.running_start_time is None:
        new["running_start_time"] = at
    if (step.status in ENDED or step.failure is not None) and old.ended_at is None:
        new["ended_at"] = at
    if step.job.status in ENDED - {step.status}:
        # The hook of another end is due.
        new |= {"hook_returned_at": None, "hook_error": None, "hook_failed_runner_id": None}
        new |= {"hook_tries": 0, "hook_not_before": None}
    changed = {
        name: value for name, value in new.items() if name in _NO_FAILURE or value != getattr(old, name)
    }
    if "ended_at" in changed and step.costs is None and old.costs is None:
        changed["costs_not_before"] = at
    if step.job.status in ENDED - {step.status} and old.failure is not None:
        changed |= _NO_FAILURE
    return changed | (failure_values(step.failure) if step.failure is not None else {})


def _set_batch_job(connection: sa.Connection, each: Job, **values: Any) -> None:
    connection.execute(sa.update(batch_job).where(batch_job.c.id == _chosen(each)).values(values))


def _chosen(each: Job) -> int:
    """Return the number of the batch job that the job's attempt has chosen."""
    batch_job_of = attempt_of(each).batch_job
    assert batch_job_of is not None, f"row {each.number} has no batch job"
    return batch_job_of.id
