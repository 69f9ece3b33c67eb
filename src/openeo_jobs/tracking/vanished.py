"""Files that are not where they were left, and whose batch jobs were deleted: nothing fetches them again."""

from __future__ import annotations

from collections.abc import Sequence

from openeo_jobs.jobs import Job
from openeo_jobs.tracking.run import log

_MOST = 10


def tell(missing: Sequence[Job]) -> list[Job]:
    """Say which rows have lost their files for good; return the others, whose files are fetched again.

    They stay complete: a copy of the files may come back, and a new attempt has costs.
    """
    gone = [job.number for job in missing if is_deleted(job)]
    if gone:
        rows = ", ".join(map(str, gone[:_MOST])) + (", ..." if len(gone) > _MOST else "")
        log.error(
            "the files of %d finished rows are not on disk, and cannot be fetched again, as their batch jobs "
            "were deleted on the backend by delete-remote: rows %s; put a copy of yours back, or compute "
            "them anew: openeo-jobs retry --row %d --yes",
            *(len(gone), rows, gone[0]),
        )
    return [job for job in missing if not is_deleted(job)]


def is_deleted(job: Job) -> bool:
    """Say whether the batch job of a row was deleted on its backend."""
    batch_job = job.attempt.batch_job if job.attempt else None
    return batch_job is not None and batch_job.deleted_at is not None
