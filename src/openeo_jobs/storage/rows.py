"""From rows of the database to values, and back; rows never leave this folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import (
    Attempt,
    Backend,
    BatchJob,
    Campaign,
    Column,
    ErrorClass,
    Failure,
    Job,
    Mirrored,
    Outcome,
    ResultsStatus,
    Runner,
)
from openeo_jobs.policy.orphans import Settlement
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.schema import attempt, backend, batch_job, job

SELECT_JOBS = (
    sa.select(job, attempt, batch_job, backend.c.name)
    .select_from(job)
    .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
    .outerjoin(batch_job, batch_job.c.id == attempt.c.chosen_id)
    .outerjoin(backend, backend.c.id == attempt.c.backend_id)
    .set_label_style(sa.LABEL_STYLE_TABLENAME_PLUS_COL)
)
"""A job with its latest attempt and the batch job that it chose."""

SELECT_BATCH_JOBS = (
    sa.select(batch_job, backend.c.name)
    .join(backend, backend.c.id == batch_job.c.backend_id)
    .set_label_style(sa.LABEL_STYLE_TABLENAME_PLUS_COL)
)

Values = Mapping[Any, Any]


def job_from(row: sa.Row[Any]) -> Job:
    """Make a job of a row of `SELECT_JOBS`."""
    values = row._mapping
    results_status = values[job.c.results_status]
    return Job(
        number=values[job.c.id],
        status=JobStatus(values[job.c.status]),
        results_status=ResultsStatus(results_status) if results_status else None,
        attempt=_attempt_from(values) if values[attempt.c.id] is not None else None,
        **_same(
            values,
            job,
            *("position", "index_label", "params", "status_since", "pinned_backend", "priority", "owner_id"),
            *("not_before", "cancel_requested_at", "needs_person_since", "needs_person_reason"),
            *("results_tries", "results_not_before", "user_status"),
        ),
    )


def attempt_of(each: Job) -> Attempt:
    """Return the latest attempt of a job that has one."""
    assert each.attempt is not None, f"row {each.number} has no attempt"
    return each.attempt


def load(connection: sa.Connection, each: Job) -> Job:
    """Read *each* again, as it is now."""
    return job_from(connection.execute(SELECT_JOBS.where(job.c.id == each.number)).one())


def batch_job_from(row: sa.Row[Any]) -> BatchJob:
    """Make a batch job of a row of `SELECT_BATCH_JOBS`."""
    return _batch_job_from(row._mapping)


def backend_from(row: sa.Row[Any]) -> Backend:
    """Make a backend of a row of its table."""
    values = row._mapping
    return Backend(
        paused_class=ErrorClass(kind) if (kind := values[backend.c.paused_class]) else None,
        **_same(
            values,
            backend,
            *("name", "url", "parallel_jobs", "keeps_titles"),
            *("paused_reason", "paused_remedy", "paused_since", "retry_at"),
            *("learned_cap", "learned_at", "is_polled", "failures_in_a_row", "fuse_since", "fuse_reason"),
        ),
    )


def runner_from(row: sa.Row[Any]) -> Runner:
    """Make a runner of a row of its table."""
    return Runner(**row._mapping)


def columns_from(stored: Iterable[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Make the columns of a campaign of what it keeps of them."""
    return tuple(Column(**column) for column in stored)


def campaign_from(row: sa.Row[Any]) -> Campaign:
    """Make the campaign of its one row."""
    values = row._mapping
    return Campaign(
        uid=values["uid"],
        created_at=values["created_at"],
        columns=columns_from(values["columns"]),
        index=Column(**values["index_column"]),
        geometry=values["geometry"],
        mirrors={
            path: tuple(Mirrored(**one) for one in contents) for path, contents in values["mirrors"].items()
        },
        taken_over_from=values["taken_over_from"],
        edition=values["edition"],
    )


def deletion_time(settled_as: str | None, settled_at: datetime | None) -> datetime | None:
    """Return when a batch job was deleted on its backend; None where it was not."""
    return settled_at if settled_as == Settlement.DELETED else None


def update_each(connection: sa.Connection, table: sa.Table, ids: Iterable[int], **values: Any) -> None:
    """Set *values* in the rows with these *ids*; there may be more of them than a statement has variables."""
    parameters = [{"its_id": one} for one in ids]
    if parameters:
        statement = sa.update(table).where(table.c.id == sa.bindparam("its_id")).values(values)
        connection.execute(statement, parameters)


def failure_values(failure: Failure) -> dict[str, Any]:
    """Return a failure as the columns of an attempt."""
    return {
        "error_class": failure.error_class,
        "error_message": failure.message,
        "error_http_status": failure.http_status,
        "error_code": failure.code,
        "error_at": failure.at,
        "failure_key": failure.key,
    }


def _attempt_from(values: Values) -> Attempt:
    return Attempt(
        backend_name=values[backend.c.name],
        batch_job=_batch_job_from(values) if values[batch_job.c.id] is not None else None,
        failure=_failure_from(values) if values[attempt.c.error_class] else None,
        usage=values[attempt.c.usage] or {},
        **_same(
            values,
            attempt,
            *("id", "number", "began_at", "ended_at", "start_time", "running_start_time", "backend_status"),
            *("created_seen_at", "not_found_since", "not_found_count", "costs", "currency"),
            *("hook_returned_at", "hook_error", "hook_tries", "hook_not_before", "hook_failed_runner_id"),
            *("backend_created_at", "backend_queued_at", "backend_started_at", "backend_ended_at"),
            *("cancel_tries", "cancel_not_before", "cancel_error"),
        ),
    )


def _batch_job_from(values: Values) -> BatchJob:
    return BatchJob(
        backend_name=values[backend.c.name],
        outcome=Outcome(values[batch_job.c.outcome]),
        deleted_at=deletion_time(values[batch_job.c.settled_as], values[batch_job.c.settled_at]),
        **_same(
            values,
            batch_job,
            *(
                "id",
                "batch_job_id",
                "tag",
                "fingerprint",
                "sent_at",
                "ended_at",
                "absent_since",
                "start_sent_at",
                "vain_starts",
            ),
        ),
    )


def _failure_from(values: Values) -> Failure:
    return Failure(
        error_class=ErrorClass(values[attempt.c.error_class]),
        message=values[attempt.c.error_message],
        at=values[attempt.c.error_at],
        http_status=values[attempt.c.error_http_status],
        code=values[attempt.c.error_code],
        key=values[attempt.c.failure_key],
    )


def _same(values: Values, table: sa.Table, *names: str) -> dict[str, Any]:
    return {name: values[table.c[name]] for name in names}
