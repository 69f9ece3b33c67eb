"""Take over a campaign that openEO's own manager began: its file becomes the first state of a database."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from openeo_jobs.arguments import Location
from openeo_jobs.errors import DatabaseError
from openeo_jobs.frames import encode_table, read_csv
from openeo_jobs.jobs import NewJob, ResultsStatus, Table
from openeo_jobs.status import ENDED, JobStatus
from openeo_jobs.storage.store import open_store

log = logging.getLogger("openeo_jobs")

COPY_SUFFIX = ".before-openeo-jobs"


def find_campaign_to_take_over(location: Location) -> Path | None:
    """Return the file of a campaign that has no database yet."""
    if location.mirror is None or not location.mirror.exists() or _has_begun(location.database):
        return None
    return location.mirror


def read_campaign(
    path: Path, *, has_hook: Callable[[JobStatus], bool], folder_of: Callable[[str], Path]
) -> Table:
    """Read a campaign from the file that another manager wrote; nothing is changed.

    Rows that are under way stay so. Results of finished rows are fetched as far as they are not in their
    folder. A hook of the user's counts as called for a row that was at its end, unless it is a finished one
    whose folder is missing or empty.
    """
    table = encode_table(read_csv(path))
    return replace(
        table, jobs=tuple(_settle(job, has_hook=has_hook, folder_of=folder_of) for job in table.jobs)
    )


def keep_copy(path: Path) -> Path:
    """Keep the file as it was found, beside it; a copy that is there already is not overwritten."""
    copy = path.with_name(path.name + COPY_SUFFIX)
    if not copy.exists():
        part = copy.with_name(copy.name + ".part")
        shutil.copyfile(path, part)
        part.replace(copy)
    return copy


def tell(path: Path, table: Table, copy: Path) -> None:
    """Say what was taken over."""
    words = Counter(
        (job.tracked.user_status or job.tracked.status) if job.tracked else JobStatus.NOT_STARTED
        for job in table.jobs
    )
    counts = ", ".join(f"{number} {word}" for word, number in sorted(words.items()))
    log.info("took over %s: %d rows (%s); kept as it was in %s", path, len(table.jobs), counts, copy)


def _has_begun(database: Path) -> bool:
    """Say whether a database holds a campaign; one that cannot be opened here is not ours to begin."""
    if not database.exists():
        return False
    try:
        with open_store(database) as store:
            return store.campaigns.load() is not None
    except DatabaseError:
        return True


def _settle(
    job: NewJob, *, has_hook: Callable[[JobStatus], bool], folder_of: Callable[[str], Path]
) -> NewJob:
    tracked = job.tracked
    if tracked is None or tracked.status not in ENDED or not has_hook(tracked.status):
        return job
    if tracked.status is JobStatus.FINISHED and not _has_files(folder_of(str(tracked.batch_job_id))):
        return job
    return replace(job, tracked=replace(tracked, hook_returned=True, results_status=ResultsStatus.NOT_WANTED))


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
