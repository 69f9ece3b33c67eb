"""What attempts failed of: the latest in a row, for the fuse, and those after which a row is tried again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.jobs import ErrorClass, Job
from openeo_jobs.policy.failures import AWAY
from openeo_jobs.policy.fuse import End
from openeo_jobs.status import Actor, JobStatus
from openeo_jobs.storage.changes import change_status
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import SELECT_JOBS, job_from
from openeo_jobs.storage.runners import is_free_or_of, is_run
from openeo_jobs.storage.schema import attempt, backend, batch_job, job, runner, status_change


class Failures:
    """Attempts that failed, and those between them that did not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest_calls(self, number: int, *, after: datetime | None = None) -> list[End]:
        """Return what the latest calls of `start_job` came to, newest first: it raised, or returned."""
        return self._select(_CALLS, number, after=after)

    def latest_creations(self, backend_name: str, number: int, *, after: datetime | None = None) -> list[End]:
        """Return what the latest creations on a backend came to, newest first: refused, or created."""
        return self._select(_CREATIONS, number, after=after, name=backend_name)

    def latest_runs(self, backend_name: str, number: int, *, after: datetime | None = None) -> list[End]:
        """Return how the latest batch jobs of a backend ended, newest first: failed, or finished."""
        return self._select(_RUNS, number, after=after, name=backend_name)

    def latest_retry(self) -> datetime | None:
        """Return when somebody last put a row back in line; None: never."""
        with self._database.reading() as connection:
            return connection.execute(
                sa.select(sa.func.max(status_change.c.at, type_=status_change.c.at.type))
                .where(status_change.c.new == JobStatus.NOT_STARTED)
                .where(status_change.c.actor != Actor.TRACKER)
            ).scalar()

    def count_interruptions(self, each: Job) -> int:
        """Count the latest attempts of a job, in a row, during which the process ended.

        Those before somebody put the row back in line are forgiven.
        """
        select = (
            sa.select(attempt.c.error_class)
            .where(attempt.c.job_id == each.number, attempt.c.ended_at.is_not(None))
            .where(attempt.c.began_at >= sa.func.coalesce(_LAST_RETRY, _EVER))
            .order_by(attempt.c.number.desc())
        )
        with self._database.reading() as connection:
            kinds = list(connection.execute(select, {"of_job": each.number}).scalars())
        return next((i for i, kind in enumerate(kinds) if kind != ErrorClass.INTERRUPTED), len(kinds))

    def failed(self, kinds: Collection[ErrorClass], *, runner_id: int) -> list[tuple[Job, int]]:
        """Return the jobs that failed of one of these *kinds*, and how many of their attempts did so.

        Only what has been dealt with counts: the hook has returned. Attempts before somebody put the row back
        in line are forgiven. What the callback has started before it failed may still run: it is left alone,
        and so is what was to be canceled, and the jobs of other runners.
        """
        select = (
            SELECT_JOBS.add_columns(_FAILED_ALIKE)
            .where(job.c.status.in_([JobStatus.ERROR, JobStatus.START_FAILED]), job.c.user_status.is_(None))
            .where(job.c.cancel_requested_at.is_(None))
            .where(attempt.c.error_class.in_(sorted(kinds)), is_free_or_of(runner_id))
            .where(
                sa.case(
                    (job.c.status == JobStatus.ERROR, attempt.c.hook_returned_at.is_not(None)),
                    else_=~_MAY_RUN,
                )
            )
            .order_by(job.c.id)
        )
        with self._database.reading() as connection:
            return [(job_from(row), row[-1]) for row in connection.execute(select)]

    def retry(self, each: Job, *, reason: str, at: datetime, not_before: datetime) -> None:
        """Put a job that failed back in line; its attempts stay as they are."""
        with self._database.writing() as connection:
            change_status(
                connection, each, JobStatus.NOT_STARTED, at=at, reason=reason, not_before=not_before
            )

    def _select(
        self,
        select: sa.Select[tuple[object, ...]],
        number: int,
        *,
        after: datetime | None,
        name: str | None = None,
    ) -> list[End]:
        parameters = {"number": number, "after": after, "name": name}
        with self._database.reading() as connection:
            rows = connection.execute(select, parameters).all()
        return [
            End(has_succeeded=bool(row.has_succeeded), key=row.failure_key, message=row.error_message)
            for row in rows
        ]


_INSTANT = attempt.c.began_at.type
_EVER = sa.literal("", sa.Text)
_BEGAN_HERE = sa.and_(
    attempt.c.began_at >= sa.select(sa.func.max(runner.c.started_at)).where(is_run()).scalar_subquery(),
    attempt.c.began_at >= sa.func.coalesce(sa.bindparam("after", type_=_INSTANT), _EVER),
)
"""Only attempts since the latest run began: with a script that was mended, all get a new try."""
_OF_BACKEND = attempt.c.backend_id == (
    sa.select(backend.c.id).where(backend.c.name == sa.bindparam("name")).scalar_subquery()
)
_HAS_FAILED = attempt.c.error_class.is_not(None)
_HAS_ENDED = attempt.c.ended_at.is_not(None)
_HAS_BATCH_JOB = attempt.c.chosen_id.is_not(None)


def _ends(
    has_succeeded: sa.ColumnElement[bool], *conditions: sa.ColumnElement[bool]
) -> sa.Select[tuple[object, ...]]:
    """Select the ends of attempts; a success shows no failure that came after it."""
    return sa.select(
        has_succeeded.label("has_succeeded"),
        sa.case((~has_succeeded, attempt.c.failure_key)).label("failure_key"),
        sa.case((~has_succeeded, attempt.c.error_message)).label("error_message"),
    ).where(_BEGAN_HERE, *conditions).limit(sa.bindparam("number"))  # fmt: skip


_RAISED = sa.and_(
    _HAS_ENDED, attempt.c.error_class == ErrorClass.PERMANENT, attempt.c.error_http_status.is_(None)
)
_REFUSED = sa.and_(
    _HAS_ENDED,
    attempt.c.error_class.in_([ErrorClass.PERMANENT, ErrorClass.TRANSIENT]),
    attempt.c.error_http_status.not_in(sorted(AWAY)),
)
# Calls follow one another: their numbers are their order, and need no index.
_CALLS = _ends(
    sa.or_(_HAS_BATCH_JOB, ~_HAS_FAILED), sa.or_(_HAS_BATCH_JOB, _RAISED, sa.and_(_HAS_ENDED, ~_HAS_FAILED))
).order_by(attempt.c.id.desc())
_CREATIONS = _ends(_HAS_BATCH_JOB, _OF_BACKEND, sa.or_(_HAS_BATCH_JOB, _REFUSED)).order_by(
    attempt.c.id.desc()
)
_RUNS = _ends(
    ~_HAS_FAILED & (attempt.c.backend_status == JobStatus.FINISHED),
    *(_OF_BACKEND, _HAS_BATCH_JOB, _HAS_ENDED),
    sa.or_(_HAS_FAILED, attempt.c.backend_status.in_([JobStatus.FINISHED, JobStatus.ERROR])),
).order_by(attempt.c.ended_at.desc(), attempt.c.id.desc())

_STARTED = batch_job.alias("started")
_MAY_RUN = (
    sa.exists()
    .where(_STARTED.c.attempt_id == attempt.c.id, _STARTED.c.start_sent_at.is_not(None))
    .correlate(attempt)
)
_RETRY = status_change.alias("retry")
_LAST_RETRY = (
    sa.select(sa.func.max(_RETRY.c.at))
    .where(_RETRY.c.job_id == sa.bindparam("of_job"))
    .where(_RETRY.c.new == JobStatus.NOT_STARTED, _RETRY.c.actor != Actor.TRACKER)
    .scalar_subquery()
)
_FAILED = status_change.alias("failed")
_TRIED = attempt.alias("tried")
_FORGIVEN = (
    sa.select(sa.func.coalesce(sa.func.max(_RETRY.c.id), 0))
    .where(_RETRY.c.job_id == job.c.id)
    .where(_RETRY.c.new == JobStatus.NOT_STARTED, _RETRY.c.actor != Actor.TRACKER)
    .correlate(job)
    .scalar_subquery()
)
_FAILED_ALIKE = (
    sa.select(sa.func.count(sa.distinct(_TRIED.c.id)))
    .select_from(_FAILED)
    .join(_TRIED, _TRIED.c.id == _FAILED.c.attempt_id)
    .where(_FAILED.c.job_id == job.c.id, _FAILED.c.id > _FORGIVEN)
    .where(_FAILED.c.new.in_([JobStatus.ERROR, JobStatus.START_FAILED]))
    .where(_TRIED.c.error_class == attempt.c.error_class)
    .correlate(job, attempt)
    .scalar_subquery()
)
"""How many attempts of a job ended in a failure of the same class; where it only waited does not count."""
