"""What is still to be done for a job that has ended: results, error logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.status import JobStatus

DOWNLOAD_TRIES = 5
"""How often a download is tried in one run."""


def is_download_due(job: Job, *, at: datetime) -> bool:
    """Say whether the results of *job* are to be fetched now."""
    return (
        job.status is JobStatus.FINISHED
        and job.results_status in (ResultsStatus.PENDING, ResultsStatus.DOWNLOADING)
        and (job.results_not_before is None or job.results_not_before <= at)
    )


def next_download(
    tries: int, *, at: datetime, poll_sleep: timedelta, retry_after: timedelta | None = None
) -> datetime | None:
    """Return when a download that failed *tries* times is tried again; None: not in this run.

    *retry_after* is how long the server of the asset asked to wait.
    """
    if tries >= DOWNLOAD_TRIES:
        return None
    wait: timedelta = max(poll_sleep, timedelta(milliseconds=50)) * 2 ** (tries - 1)
    return at + max(wait, retry_after or timedelta(0))


def is_reason_wanted(job: Job, *, at: datetime) -> bool:
    """Say whether the error logs of a failed job are to be fetched now."""
    return (
        job.status is JobStatus.ERROR
        and job.attempt is not None
        and job.attempt.failure is None
        and (job.results_not_before is None or job.results_not_before <= at)
    )


def error_message(entries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why a batch job failed: the last message of its error logs; None where they have none."""
    messages = [str(entry["message"]) for entry in entries if entry.get("message")]
    return messages[-1] if messages else None


def describe_silence(last_line: str | None) -> str:
    """Say that the logs of a failed batch job have no error, and what they end with."""
    return f"(no error in the logs; last line: {last_line})" if last_line else "(no error in the logs)"


def is_unfetched(job: Job) -> bool:
    """Say whether results or the reason of a failure are still to come, so that a hook would be too early."""
    if job.status is JobStatus.ERROR:
        return job.attempt is not None and job.attempt.failure is None
    return job.results_status in (ResultsStatus.PENDING, ResultsStatus.DOWNLOADING)
