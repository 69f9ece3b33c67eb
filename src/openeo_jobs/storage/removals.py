"""Batch jobs that are still on their backends, with what speaks against their deletion; and deletions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Outcome
from openeo_jobs.policy.orphans import Settlement
from openeo_jobs.policy.removal import Leftover, Use
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.endings import is_open
from openeo_jobs.storage.orphans import select_open
from openeo_jobs.storage.schema import attempt, backend, batch_job, job


class Removals:
    """Batch jobs with an id that nobody has decided about: chosen by an attempt, or orphans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Leftover]:
        """Return them all, by backend, in the order of their creation."""
        with self._database.reading() as connection:
            return _read(connection, _SELECT)

    def one(self, number: int) -> Leftover | None:
        """Return the one with this *number* in the database, as it is now; None where it is none any more."""
        with self._database.reading() as connection:
            found = _read(connection, _SELECT.where(batch_job.c.id == number))
        return found[0] if found else None

    def record_deleted(self, number: int, *, at: datetime) -> None:
        """Store that a batch job is not on its backend any more, because it was deleted there."""
        settled = {"settled_as": Settlement.DELETED, "settled_at": at}
        with self._database.writing() as connection:
            connection.execute(sa.update(batch_job).where(batch_job.c.id == number).values(settled))


_OWN = attempt.alias("own")
_LATER = attempt.alias("later")
_IS_LATEST = sa.and_(
    job.c.attempt_id.is_(None),
    ~sa.exists()
    .where(_LATER.c.job_id == attempt.c.job_id, _LATER.c.number > attempt.c.number)
    .where(_LATER.c.chosen_id.is_not(None))
    .correlate(attempt),
)
"""Of a row that is back in line: it has no later attempt yet."""
_SELECT = (
    sa.select(
        *(batch_job.c.id, batch_job.c.batch_job_id, batch_job.c.outcome, batch_job.c.found_at),
        *(backend.c.name, _OWN.c.account.label("own_account"), attempt.c.account),
        *(attempt.c.id.label("attempt_id"), attempt.c.backend_status, attempt.c.error_class),
        *(job.c.id.label("row"), job.c.status, job.c.results_status, job.c.owner_id),
        sa.or_(job.c.attempt_id == attempt.c.id, _IS_LATEST).label("is_current"),
        is_open().label("is_open"),
    )
    .select_from(batch_job)
    .join(_OWN, _OWN.c.id == batch_job.c.attempt_id)
    .join(backend, backend.c.id == batch_job.c.backend_id)
    .outerjoin(attempt, attempt.c.chosen_id == batch_job.c.id)
    .join(job, job.c.id == sa.func.coalesce(attempt.c.job_id, _OWN.c.job_id))
    .where(batch_job.c.batch_job_id.is_not(None), batch_job.c.settled_at.is_(None))
    .order_by(backend.c.id, batch_job.c.id, job.c.id)
)
"""A line for every attempt that chose a batch job; one without an attempt for one that none chose."""


def _read(connection: sa.Connection, select: sa.Select[Any]) -> list[Leftover]:
    rows = connection.execute(select).all()
    is_inert: dict[int, bool] = {}
    if any(row.attempt_id is None for row in rows):
        is_inert = {one.id: one.is_inert for one in select_open(connection)}
    found = [list(group) for _, group in groupby(rows, key=lambda row: row.id)]
    # What no attempt chose, and is no orphan, is about to be chosen, or was never this campaign's.
    return [
        _leftover_from(group, is_inert=is_inert.get(group[0].id, False))
        for group in found
        if group[0].attempt_id is not None or group[0].id in is_inert
    ]


def _leftover_from(rows: Sequence[sa.Row[Any]], *, is_inert: bool) -> Leftover:
    first = rows[0]
    accounts = {row.account if row.attempt_id is not None else row.own_account for row in rows}
    return Leftover(
        id=first.id,
        backend_name=first.name,
        batch_job_id=first.batch_job_id,
        outcome=Outcome(first.outcome),
        accounts=frozenset(accounts - {None}),
        uses=tuple(_use_from(row) for row in rows),
        is_inert=is_inert,
        is_stray=first.found_at is not None,
    )


def _use_from(row: sa.Row[Any]) -> Use:
    return Use(
        row=row.row,
        status=JobStatus(row.status),
        results_status=row.results_status,
        owner_id=row.owner_id,
        is_current=bool(row.is_current),
        is_open=bool(row.is_open),
        attempt_id=row.attempt_id,
        backend_status=row.backend_status,
        has_failed=row.error_class is not None or row.backend_status == JobStatus.ERROR,
    )
