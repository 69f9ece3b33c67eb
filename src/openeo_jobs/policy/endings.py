"""What is still to be done for a job that has ended: results, error logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.status import JobStatus


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
    is_pending = job.results_status in (ResultsStatus.PENDING, ResultsStatus.DOWNLOADING)
    return job.status is JobStatus.FINISHED and is_pending
