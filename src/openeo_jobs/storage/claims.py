"""Claims: a waiting job gets an owner, an attempt and a slot, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.jobs import Job
from openeo_jobs.policy.submission import plan_submissions
from openeo_jobs.status import ACTIVE, JobStatus
from openeo_jobs.storage.attempts import insert_attempt
from openeo_jobs.storage.changes import change_status
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.logins import is_foreign
from openeo_jobs.storage.rows import SELECT_JOBS, job_from
from openeo_jobs.storage.runners import is_in_charge
from openeo_jobs.storage.schema import attempt, backend, job

_WAITING = (
    SELECT_JOBS.where(job.c.status == sa.literal_column(f"'{JobStatus.NOT_STARTED}'"))
    .where(job.c.user_status.is_(None), job.c.needs_person_since.is_(None))
    .where(sa.or_(job.c.not_before.is_(None), job.c.not_before <= sa.bindparam("at")))
    .order_by(job.c.priority.desc(), job.c.position)
    .limit(sa.bindparam("number"))
)
_WAITING_FOR_ANY = _WAITING.where(job.c.pinned_backend.is_(None))
_WAITING_FOR_ONE = _WAITING.where(job.c.pinned_backend == sa.bindparam("pin"))
"""The status is spelled out: a partial index is not used for a variable."""


class Claims:
    """From `not_started` to `submitting`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, *, runner_id: int, caps: Mapping[str, int], at: datetime, limit: int | None = None
    ) -> list[Job]:
        """Claim waiting jobs for the backends that have free slots under *caps*; return them, in order.

        *caps* names the backends that may get jobs now, with the number of slots of each. Slots are counted
        here, from the rows of all runners of the same account: nothing else keeps count of them.
        A runner that was taken for dead gets none.
        """
        with self._database.writing() as connection:
            if not is_in_charge(connection, runner_id):
                return []
            free = _free_slots(connection, caps, runner_id)
            waiting = _waiting(connection, free, at=at, limit=limit)
            plan = plan_submissions(waiting, free)[:limit]
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


def count_held(
    connection: sa.Connection, statuses: Collection[JobStatus] = ACTIVE, *, runner_id: int | None = None
) -> dict[str, int]:
    """Count the slots that rows of these *statuses* hold; a row that waits for a person holds none.

    Each account has slots of its own: those of other accounts than that of the runner are not counted.
    """
    others = sa.false() if runner_id is None else is_foreign(runner_id)
    rows = connection.execute(
        sa.select(backend.c.name, sa.func.count().label("held"))
        .select_from(job)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .join(backend, backend.c.id == attempt.c.backend_id)
        .where(job.c.status.in_(sorted(statuses)), job.c.needs_person_since.is_(None), ~others)
        .group_by(backend.c.name)
    )
    return {row.name: row.held for row in rows}


def _free_slots(connection: sa.Connection, caps: Mapping[str, int], runner_id: int) -> dict[str, int]:
    held = count_held(connection, runner_id=runner_id)
    free = {name: cap - held.get(name, 0) for name, cap in caps.items()}
    return {name: slots for name, slots in free.items() if slots > 0}


def _waiting(
    connection: sa.Connection, free: Mapping[str, int], *, at: datetime, limit: int | None
) -> list[Job]:
    """Return, in order, at least those jobs that may get one of the *free* slots.

    One look into the index for each backend that users can pin a job to: a thousand jobs that wait for a full
    backend neither hide the others nor have to be read.
    """
    slots: dict[str | None, int] = {None: sum(free.values())}
    slots.update(free)
    found = [
        row
        for pin, number in slots.items()
        for row in connection.execute(
            _WAITING_FOR_ANY if pin is None else _WAITING_FOR_ONE,
            {"pin": pin, "at": at, "number": number if limit is None else min(number, limit)},
        )
    ]
    return sorted(map(job_from, found), key=lambda each: (-each.priority, each.position, each.number))


def _claim(connection: sa.Connection, each: Job, backend_id: int, *, runner_id: int, at: datetime) -> int:
    attempt_id = insert_attempt(connection, each.number, backend_id=backend_id, began_at=at)
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
