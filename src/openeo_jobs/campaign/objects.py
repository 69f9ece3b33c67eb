"""Job databases of openEO's interface that are no file we know: read once, then mirrored row by row."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import pandas as pd

from openeo_jobs.frames import OUTPUT_COLUMNS, output_frame, track_values
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")


def read_rows(job_db: Any) -> pd.DataFrame:
    """Return all rows of a job database: its `df` or `read()` where it has one, else by status."""
    frame = getattr(job_db, "df", None)
    if isinstance(frame, pd.DataFrame):
        return frame
    if callable(getattr(job_db, "read", None)):
        return pd.DataFrame(job_db.read())
    return pd.DataFrame(job_db.get_by_status(statuses=list(job_db.count_by_status())))


def write_rows(job_db: Any, df: pd.DataFrame) -> None:
    """Give a job database that holds nothing yet its first rows."""
    if callable(getattr(job_db, "initialize_from_df", None)):
        job_db.initialize_from_df(df)
        return
    defaults: dict[str, str | None] = {name: None for name in OUTPUT_COLUMNS if name not in df.columns}
    if "status" in defaults:
        defaults["status"] = JobStatus.NOT_STARTED.value
    job_db.persist(df.assign(**defaults))


class ObjectMirror:
    """A job database of the user's that is told, by its `persist`, of every row that has changed."""

    def __init__(self, store: JobStore, job_db: Any) -> None:
        self._store = store
        self._job_db = job_db
        self._mark: object = None
        self._written: dict[int, object] = {}
        self._is_warned = False

    def take_over_edits(self, *, at: datetime) -> None:
        """Do nothing: such a database is read once, when its campaign begins."""

    def write(self) -> bool:
        """Persist the rows that have changed; return whether there were any. What goes wrong is told once."""
        mark = self._store.jobs.change_mark()
        if mark == self._mark:
            return False
        try:
            is_written = self._write()
        except Exception as error:  # whatever the user's code raises
            if not self._is_warned:
                log.warning("%r was not told of the news (%s); tried again each round", self._job_db, error)
            self._is_warned = True
            return False
        self._mark, self._is_warned = mark, False
        return is_written

    def _write(self) -> bool:
        campaign = self._store.campaigns.load()
        if campaign is None:
            return False
        jobs = self._store.jobs.all()
        now = {job.number: (job.params, track_values(job)) for job in jobs}
        changed = [job for job in jobs if self._written.get(job.number) != now[job.number]]
        if not changed:
            return False
        # Classes of openEO's that have not read their file take the first part they get for the whole.
        self._job_db.count_by_status()
        self._job_db.persist(output_frame(campaign, changed))
        self._written = dict(now)
        return True
