"""What a user changes: failed rows go back in line."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.jobs import Job
from openeo_jobs.status import FINAL, Actor, JobStatus
from openeo_jobs.storage.changes import change_each
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.schema import backend


class Retries:
    """New attempts, asked for by a user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def retry(self, jobs: Collection[Job], *, reason: str, at: datetime) -> int:
        """Put those of *jobs* that may be tried again back in line; return how many are.

        Whoever does so has seen what tripped a fuse: only what fails from now on counts.
        """
        candidates = [one for one in jobs if can_retry(one)]
        with self._database.writing() as connection:
            connection.execute(sa.update(backend).values(fuse_reason=None, fuse_since=None))
            return change_each(
                connection, candidates, JobStatus.NOT_STARTED, at=at, actor=Actor.USER, reason=reason
            )


def can_retry(one: Job) -> bool:
    """Say whether a user may ask for a new attempt: the job is over, or waits for a person."""
    return one.status in FINAL or (one.status is JobStatus.SUBMITTING and one.needs_person_since is not None)
