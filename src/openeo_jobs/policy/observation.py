"""What the word of a backend means for a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from openeo_jobs.jobs import Attempt, Job
from openeo_jobs.status import BACKEND_WORDS, Actor, JobStatus, can_change

LOST_AFTER_COUNT = 3
"""How many times in a row a batch job has to be unknown before it may be lost."""

MOST_VAIN_STARTS = 5
"""How many starts of a batch job may have no effect before nobody asks for another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a job is after a look at its batch job.

    `created_seen_at` is when `created` was first seen where it was not expected. `may_start_again`: the
    start that we asked for had no effect. `is_unknown_word`: no status that we could store.
    """

    status: JobStatus
    reason: str | None = None
    created_seen_at: datetime | None = None
    may_start_again: bool = False
    is_unknown_word: bool = False


def judge(
    job: Job, word: str, *, at: datetime, grace: timedelta, asked_at: datetime | None = None
) -> Verdict:
    """Say what *job* is now that its backend says *word* of its batch job.

    The answer has come until *at*, and is as of some instant since *asked_at*, if that was earlier.
    """
    if word not in BACKEND_WORDS:
        return Verdict(status=job.status, is_unknown_word=True)
    new = JobStatus(word)
    if new is job.status is JobStatus.CREATED and job.cancel_requested_at and not was_started(job):
        return Verdict(status=JobStatus.CANCELED, reason="canceled before it was started")
    if new is JobStatus.CREATED and was_started(job) and job.status not in _WITH_RESULTS:
        return _judge_created(job, at=at, asked_at=asked_at or at, grace=grace)
    if not can_change(job.status, new, Actor.TRACKER):
        return Verdict(status=job.status, is_unknown_word=True)
    return Verdict(status=new)


def was_started(job: Job) -> bool:
    """Say whether the job's batch job was ever started, by us or by somebody else."""
    attempt = job.attempt
    if job.status in (JobStatus.QUEUED, JobStatus.RUNNING) or attempt is None:
        return attempt is not None
    if attempt.created_seen_at is not None or attempt.running_start_time is not None:
        return True
    return attempt.batch_job is not None and attempt.batch_job.start_sent_at is not None


def _judge_created(job: Job, *, at: datetime, asked_at: datetime, grace: timedelta) -> Verdict:
    """Judge `created` after a start: a registry that lags, a start without effect, or somebody's stop.

    Stopping a queued job makes it `created` (openEO API 1.2.0, `DELETE /jobs/{job_id}/results`). While a
    start may be on its way it has to stay so for a while: else what is canceled here would run there.
    """
    if job.cancel_requested_at is not None and job.status not in _IN_FLIGHT:
        return Verdict(status=JobStatus.CANCELED, reason="stopped while it was queued")
    seen_at = job.attempt.created_seen_at if job.attempt else None
    if seen_at is None or asked_at < seen_at + grace:
        status, reason = _FIRST_SIGHT.get(job.status, (job.status, None))
        return Verdict(status=status, reason=reason, created_seen_at=seen_at or at)
    if job.cancel_requested_at is not None:
        return Verdict(status=JobStatus.CANCELED, reason="canceled; its start had no effect")
    if job.status is JobStatus.QUEUED_FOR_START:
        return _judge_vain_start(job)
    return Verdict(status=JobStatus.CANCELED, reason="stopped on the backend by somebody else")


def _judge_vain_start(job: Job) -> Verdict:
    batch_job = job.attempt.batch_job if job.attempt else None
    starts = 1 + (batch_job.vain_starts if batch_job else 0)
    if starts < MOST_VAIN_STARTS:
        reason = "the start had no effect: seen created twice"
        return Verdict(status=JobStatus.CREATED, reason=reason, may_start_again=True)
    reason = f"{starts} starts had no effect: the batch job stays created"
    return Verdict(status=JobStatus.START_FAILED, reason=reason)


_IN_FLIGHT = frozenset({JobStatus.SUBMITTING, JobStatus.QUEUED_FOR_START})
"""A request to create or start may be on its way."""

_WITH_RESULTS = frozenset({JobStatus.FINISHED, JobStatus.ERROR})
"""A batch job that has ended like this was not stopped, whatever its backend says later."""

_FIRST_SIGHT = {
    JobStatus.QUEUED: (JobStatus.CREATED, "stopped on the backend"),
    JobStatus.RUNNING: (JobStatus.CREATED, "stopped on the backend"),
    JobStatus.SUBMITTING: (JobStatus.QUEUED_FOR_START, None),
}
"""What `created` means at first, where the start was asked for; elsewhere nothing changes yet."""


def may_be_lost(attempt: Attempt, *, at: datetime, lost_after: timedelta) -> bool:
    """Say whether the batch job was unknown often and long enough; a complete listing has the last word."""
    since = attempt.not_found_since
    return since is not None and attempt.not_found_count >= LOST_AFTER_COUNT and at - since >= lost_after
