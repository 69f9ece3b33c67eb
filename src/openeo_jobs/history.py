"""What has happened to a job, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from openeo_jobs.status import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """One line of the history, which is written by a trigger and cannot be altered."""

    job: int
    at: datetime
    old: JobStatus | None
    new: JobStatus
    actor: str
    reason: str | None = None
    attempt_id: int | None = None
