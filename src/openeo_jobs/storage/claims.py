"""Claims: a waiting job gets an owner, an attempt and a slot, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.jobs import Job
from openeo_jobs.policy.submission import plan_submissions
from openeo_jobs.status import ACTIVE, JobStatus
from openeo_jobs.storage.changes import change_status
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import SELECT_JOBS, job_from
from openeo_jobs.storage.schema import attempt, backend, job


class Claims:
    """From `not_started` to `submitting`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, *, runner_id: int, caps: Mapping[str, int], at: datetime, limit: int | None = None
    ) -> list[Job]:
        """Claim waiting jobs for the backends that have free slots under *caps*; return them, in order.

        *caps* names the backends that may get jobs now, with the number of slots of each. Slots are counted
        here, from the rows: nothing else keeps count of them.
        """
        with self._database.writing() as connection:
            free = _free_slots(connection, caps)
            number = min(sum(free.values()), limit if limit is not None else sum(free.values()))
            if number <= 0:
                return []
            rows = connection.execute(_waiting(free, at).limit(number)).all()
            plan = plan_submissions([job_from(row) for row in rows], free)
            names = connection.execute(sa.select(backend.c.name, backend.c.id))
            backend_ids = {row.name: row.id for row in names}
            claimed = [
                _claim(connection, each, backend_ids[name], runner_id=runner_id, at=at) for each, name in plan
            ]
            return [
                job_from(row)
                for row in connection.execute(
                    SELECT_JOBS.where(job.c.id.in_(claimed)).order_by(job.c.priority.desc(), job.c.position)
                )
            ]


def count_held(connection: sa.Connection) -> dict[str, int]:
    """Count the slots that are held, by backend; a row that waits for a person holds none."""
    rows = connection.execute(
        sa.select(backend.c.name, sa.func.count().label("held"))
        .select_from(job)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .join(backend, backend.c.id == attempt.c.backend_id)
        .where(job.c.status.in_(sorted(ACTIVE)), job.c.needs_person_since.is_(None))
        .group_by(backend.c.name)
    )
    return {row.name: row.held for row in rows}


def _free_slots(connection: sa.Connection, caps: Mapping[str, int]) -> dict[str, int]:
    held = count_held(connection)
    free = {name: cap - held.get(name, 0) for name, cap in caps.items()}
    return {name: slots for name, slots in free.items() if slots > 0}


def _waiting(free: Mapping[str, int], at: datetime) -> sa.Select[tuple[object, ...]]:
    return (
        SELECT_JOBS.where(job.c.status == JobStatus.NOT_STARTED, job.c.user_status.is_(None))
        .where(sa.or_(job.c.not_before.is_(None), job.c.not_before <= at))
        .where(sa.or_(job.c.pinned_backend.is_(None), job.c.pinned_backend.in_(list(free))))
        .order_by(job.c.priority.desc(), job.c.position)
    )


def _claim(connection: sa.Connection, each: Job, backend_id: int, *, runner_id: int, at: datetime) -> int:
    number = connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(attempt.c.number), 0) + 1).where(
            attempt.c.job_id == each.number
        )
    ).scalar_one()
    attempt_id = connection.execute(
        sa.insert(attempt).values(job_id=each.number, number=number, backend_id=backend_id, began_at=at)
    ).lastrowid
    change_status(
        connection,
        each,
        JobStatus.SUBMITTING,
        at=at,
        owner_id=runner_id,
        attempt_id=attempt_id,
        not_before=None,
    )
    return each.number
