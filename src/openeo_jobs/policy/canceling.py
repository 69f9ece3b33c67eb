"""Cancellations: what has to be done for one, when a backend is asked, and which job has run for too long."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from openeo_jobs.jobs import Attempt, Job
from openeo_jobs.policy.waiting import SHORTEST, backoff
from openeo_jobs.status import ACTIVE, JobStatus

STOPPABLE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
"""On these a backend acts (openEO API 1.2.0, `DELETE /jobs/{job_id}/results`)."""


class Handling(StrEnum):
    """How a row is canceled."""

    AT_ONCE = "at once"
    """Nothing of it was started: it needs no backend."""
    BY_BACKEND = "by its backend"
    """Its batch job is, or may be, under way: that has the last word."""
    NOT = "not"
    """It is over; or a person has to say first which of its batch jobs is the right one."""


def handle(job: Job, *, may_run: bool) -> Handling:
    """Say how *job* is canceled; *may_run*: `start_job` has asked for the start of a batch job of it."""
    if job.status is JobStatus.NOT_STARTED:
        return Handling.AT_ONCE
    if job.needs_person_since is not None:
        return Handling.NOT if may_run or job.status not in ACTIVE else Handling.AT_ONCE
    return Handling.BY_BACKEND if job.status in ACTIVE else Handling.NOT


def next_stop(tries: int, *, at: datetime, poll_sleep: timedelta, chance: float) -> datetime:
    """Return when a backend is asked again to cancel what goes on after it was asked *tries* times."""
    return at + backoff(tries, first=max(poll_sleep, SHORTEST), chance=chance)


def is_overdue(job: Job, *, told_at: datetime | None, limit: timedelta | None) -> bool:
    """Say whether a running job has run for longer than `cancel_running_job_after`.

    What counts is the time until *told_at*, when its backend last said in this run that it runs: while this
    machine slept, or the backend did not answer, a batch job may have ended.
    """
    if limit is None or told_at is None or job.status is not JobStatus.RUNNING or job.attempt is None:
        return False
    since = running_since(job.attempt, told_at=told_at)
    return since is not None and told_at - since > limit


def running_since(attempt: Attempt, *, told_at: datetime) -> datetime | None:
    """Return since when a batch job runs: as its backend says, if that can be, else as we saw it."""
    told, batch_job = attempt.backend_started_at, attempt.batch_job
    asked_at = (batch_job.start_sent_at if batch_job else None) or attempt.began_at
    return told if told is not None and asked_at <= told <= told_at else attempt.running_start_time
