"""What has changed since a run looked last."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from openeo_jobs.status import JobStatus
from openeo_jobs.storage.campaigns import latest_change
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.schema import job, status_change


class News:
    """Changes of status, whoever has made them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self) -> int:
        """Return the number of the latest change, 0 before the first."""
        with self._database.reading() as connection:
            return latest_change(connection)

    def count_since(self, mark: int) -> Mapping[JobStatus, int]:
        """Count the jobs that have changed after the change with the number *mark*, by what they are now."""
        changed = sa.select(status_change.c.job_id).where(status_change.c.id > mark)
        select = sa.select(job.c.status, sa.func.count()).where(job.c.id.in_(changed)).group_by(job.c.status)
        with self._database.reading() as connection:
            return {JobStatus(status): number for status, number in connection.execute(select)}
