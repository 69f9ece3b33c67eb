"""What a user changes: rows go back in line, in another order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.writing import Retry
from openeo_jobs.status import FINAL, Actor, JobStatus
from openeo_jobs.storage.arrivals import count_edition
from openeo_jobs.storage.campaigns import latest_change, note_mirror
from openeo_jobs.storage.changes import change_each, change_status
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.orphans import declare_foreign
from openeo_jobs.storage.schema import backend, job


class Retries:
    """New attempts, asked for by a user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def retry(self, jobs: Collection[Job], *, reason: str, at: datetime) -> int:
        """Put those of *jobs* that may be tried again back in line; return how many are.

        Whoever does so has seen what tripped a fuse: only what fails from now on counts. A batch job with the
        tag of such a row, that the database did not know, is declared foreign by this.
        """
        candidates = [one for one in jobs if can_retry(one)]
        with self._database.writing() as connection:
            connection.execute(sa.update(backend).values(fuse_reason=None, fuse_since=None))
            declare_foreign(connection, [one.number for one in candidates], at=at)
            return change_each(
                connection, candidates, JobStatus.NOT_STARTED, at=at, actor=Actor.USER, reason=reason
            )

    def take_over(
        self,
        retries: Sequence[Retry],
        order: Sequence[int],
        *,
        mirror: str,
        content_hash: str,
        reason: str,
        at: datetime,
    ) -> bool:
        """Store what was edited in a mirror, and that its contents are known now; all of it or nothing.

        *retries* go back in line. The rows whose numbers are in *order* share their places in that order;
        return whether it was another one.
        """
        with self._database.writing() as connection:
            connection.execute(sa.update(backend).values(fuse_reason=None, fuse_since=None))
            for one in retries:
                _take_over(connection, one, reason=reason, at=at)
            has_moved = _reorder(connection, order)
            if has_moved or retries:
                count_edition(connection)
            mark = latest_change(connection)
            note_mirror(connection, mirror, content_hash, mark, is_there=True, is_edit=True)
        return has_moved


def _take_over(connection: sa.Connection, retry: Retry, *, reason: str, at: datetime) -> None:
    values: dict[str, Any] = {"pinned_backend": retry.pinned_backend} if retry.pinned_backend else {}
    with suppress(JobMovedError):
        change_status(
            connection,
            retry.job,
            JobStatus.NOT_STARTED,
            at=at,
            actor=Actor.USER,
            reason=reason,
            user_status=None,
            **values,
        )


def _reorder(connection: sa.Connection, order: Sequence[int]) -> bool:
    rows = connection.execute(sa.select(job.c.id, job.c.position)).all()
    positions = {row.id: row.position for row in rows}
    places = sorted(positions[number] for number in order)
    moved = [
        {"number": number, "place": place}
        for number, place in zip(order, places, strict=True)
        if positions[number] != place
    ]
    if moved:
        move = sa.update(job).where(job.c.id == sa.bindparam("number")).values(position=sa.bindparam("place"))
        connection.execute(move, moved)
    return bool(moved)


def can_retry(one: Job) -> bool:
    """Say whether a user may ask for a new attempt: the job is over, or waits for a person."""
    waits = one.status in (JobStatus.SUBMITTING, JobStatus.NOT_STARTED) and one.needs_person_since is not None
    return one.status in FINAL or waits
