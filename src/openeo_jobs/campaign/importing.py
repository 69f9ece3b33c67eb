"""Take over a campaign that another manager began: its file, or its job database, becomes our first state."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from openeo_jobs.campaign.locations import Location
from openeo_jobs.campaign.objects import read_rows, write_rows
from openeo_jobs.errors import DatabaseError
from openeo_jobs.frames import encode_table, read_campaign_file
from openeo_jobs.jobs import Job
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import JobStore, open_store
from openeo_jobs.tables import Table

log = logging.getLogger("openeo_jobs")

COPY_SUFFIX = ".before-openeo-jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A campaign that has no database yet: its rows, their file if they were in one, and what held them."""

    table: Table
    path: Path | None
    what: str

    def keep_copy(self) -> Path | None:
        """Keep the file as it was found, beside it; a copy that is there already is not overwritten."""
        if self.path is None:
            return None
        copy = self.path.with_name(self.path.name + COPY_SUFFIX)
        if not copy.exists():
            part = copy.with_name(copy.name + ".part")
            shutil.copyfile(self.path, part)
            part.replace(copy)
        return copy

    def tell(self, copy: Path | None) -> None:
        """Say what was taken over."""
        words = Counter(
            (job.tracked.user_status or job.tracked.status) if job.tracked else JobStatus.NOT_STARTED
            for job in self.table.jobs
        )
        counts = ", ".join(f"{number} {word}" for word, number in sorted(words.items()))
        kept = f"; kept as it was in {copy}" if copy is not None else ""
        log.info("took over %s: %d rows (%s)%s", self.what, len(self.table.jobs), counts, kept)


def find(location: Location, df: pd.DataFrame | None) -> Found | None:
    """Return the campaign that another manager has begun where *location* is, if it has no database yet.

    Rows that are under way stay so. A job database that is no file gets the rows of *df* first, if it holds
    none: what it gives back is the campaign.
    """
    if has_begun(location.database):
        return None
    if location.mirror is not None:
        if not location.mirror.exists():
            return None
        table = encode_table(read_campaign_file(location.mirror))
        return Found(table=table, path=location.mirror, what=str(location.mirror))
    if location.job_db is None:
        return None
    if not location.job_db.exists():
        if df is None:
            return None
        encode_table(df)
        write_rows(location.job_db, df)
    frame: Any = read_rows(location.job_db)
    return Found(table=encode_table(frame), path=None, what=repr(location.job_db))


def has_begun(database: Path) -> bool:
    """Say whether a database holds a campaign; one that cannot be opened here is not ours to begin."""
    if not database.exists():
        return False
    try:
        with open_store(database) as store:
            return store.campaigns.load() is not None
    except DatabaseError:
        return True


def settle_endings(
    store: JobStore,
    *,
    has_hook: Callable[[JobStatus], bool],
    folder_of: Callable[[Job], Path],
    at: datetime,
) -> None:
    """Settle what is left to do for rows that another manager has brought to their end.

    Results of finished rows are fetched as far as they are not in their folder. A hook of the user's counts
    as called, unless it is that of a finished row whose folder is missing or empty.
    """

    def is_over(job: Job) -> bool:
        if not has_hook(job.status):
            return False
        return job.status is not JobStatus.FINISHED or _has_files(folder_of(job))

    store.endings.close([job for job in store.endings.of_others() if is_over(job)], at=at)


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
