"""What a user changes: failed rows go back in line."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from openeo_jobs.jobs import Job
from openeo_jobs.status import FINAL, Actor, JobStatus
from openeo_jobs.storage.changes import change_each
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import SELECT_JOBS, job_from
from openeo_jobs.storage.schema import attempt, job


class Retries:
    """New attempts, asked for by a user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def retry(self, jobs: Collection[Job], *, reason: str, at: datetime) -> int:
        """Put those of *jobs* that may be tried again back in line; return how many are."""
        candidates = [one for one in jobs if can_retry(one)]
        with self._database.writing() as connection:
            return change_each(
                connection, candidates, JobStatus.NOT_STARTED, at=at, actor=Actor.USER, reason=reason
            )

    def of_failure(self, message: str, error_class: str) -> list[Job]:
        """Return the failed jobs of one group of view `failures`."""
        select = SELECT_JOBS.where(attempt.c.failure_key == message, attempt.c.error_class == error_class)
        with self._database.reading() as connection:
            rows = connection.execute(select.order_by(job.c.id)).all()
        return [one for one in map(job_from, rows) if can_retry(one)]


def can_retry(one: Job) -> bool:
    """Say whether a user may ask for a new attempt: the job is over, or waits for a person."""
    return one.status in FINAL or (one.status is JobStatus.SUBMITTING and one.needs_person_since is not None)
