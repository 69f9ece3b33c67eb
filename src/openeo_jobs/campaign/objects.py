"""Job databases of openEO's interface: read once, then told of every row that changes."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from openeo_jobs.campaign.edits import take_over_edits
from openeo_jobs.campaign.reading import read_snapshot
from openeo_jobs.errors import CampaignExistsError
from openeo_jobs.frames import (
    OUTPUT_COLUMNS,
    Edited,
    compare_edited_frame,
    output_frame,
    track_values,
)
from openeo_jobs.jobs import Campaign, Job
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")

_KEY = "job_db"


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


def save_changes(job_db: Any) -> None:
    """Let an object of openEO's write what was changed in its `df` into its file, where it is read."""
    frame = getattr(job_db, "_df", None)
    if isinstance(frame, pd.DataFrame) and job_db.exists() and not frame.equals(job_db.read()):
        job_db.persist(frame)


class ObjectMirror:
    """A job database of the user's that is told, by its `persist`, of every row that has changed."""

    def __init__(self, store: JobStore, job_db: Any) -> None:
        self._store = store
        self._job_db = job_db
        self._labels: dict[int, Hashable] = {}
        self._mark: object = None
        self._written: dict[int, object] = {}
        self._is_warned = False

    def take_over_edits(self, *, at: datetime) -> None:
        """Take over what was changed in the job database since it was last told (see `edits`).

        Raises `CampaignExistsError` if it holds another campaign: the database of this one lies where its
        own would be.
        """
        if self._job_db.exists():
            take_over_edits(
                self._store,
                self._compare,
                what=repr(self._job_db),
                mirror=_KEY,
                content_hash="",
                keep_copy=lambda: None,
                at=at,
            )

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

    def _compare(self, campaign: Campaign, jobs: Sequence[Job]) -> Edited:
        frame = read_rows(self._job_db)
        edited = compare_edited_frame(frame, campaign, jobs, what=repr(self._job_db))
        if edited.is_of_another:
            raise CampaignExistsError(
                f"{self._job_db!r} holds other rows than {self._store.path}, which is where its campaign is "
                "kept; give MultiBackendJobManager another root_dir"
            )
        labels = frame.index.tolist()
        self._labels = {row.job.number: labels[row.place] for row in edited.rows}
        return edited

    def _write(self) -> bool:
        mark, campaign, jobs = read_snapshot(self._store)
        now = {job.number: (job.params, track_values(job)) for job in jobs}
        changed = [job for job in jobs if self._written.get(job.number) != now[job.number]]
        if not changed:
            return False
        if self._job_db.exists():
            # Classes of openEO's that have not read their file take the first part they get for the whole.
            self._job_db.count_by_status()
        frame = output_frame(campaign, changed)
        own = dict(zip([job.number for job in changed], frame.index.tolist(), strict=True))
        frame.index = pd.Index([self._labels.get(job.number, own[job.number]) for job in changed])
        self._job_db.persist(frame)
        self._written = dict(now)
        self._store.campaigns.note_mirror(_KEY, "", mark, is_there=True)
        return True
