"""What is still to be done for a job that has ended: results, error logs, hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.status import ENDED, JobStatus


def is_hook_due(job: Job, *, runner_id: int) -> bool:
    """Say whether the hook for the end of *job* has not returned yet, and has not failed in this run."""
    attempt = job.attempt
    return (
        job.status in ENDED
        and attempt is not None
        and attempt.hook_returned_at is None
        and attempt.hook_failed_runner_id != runner_id
    )


def is_reason_wanted(job: Job, *, at: datetime) -> bool:
    """Say whether the error logs of a failed job are to be fetched now."""
    return (
        job.status is JobStatus.ERROR
        and job.attempt is not None
        and job.attempt.failure is None
        and (job.results_not_before is None or job.results_not_before <= at)
    )


def error_message(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return why a batch job failed: the last message of its error logs."""
    messages = [str(entry["message"]) for entry in entries if entry.get("message")]
    return messages[-1] if messages else "(no error in the logs)"


def is_unfetched(job: Job) -> bool:
    """Say whether results or the reason of a failure are still to come, so that a hook would be too early."""
    if job.status is JobStatus.ERROR:
        return job.attempt is not None and job.attempt.failure is None
    return job.results_status in (ResultsStatus.PENDING, ResultsStatus.DOWNLOADING)
