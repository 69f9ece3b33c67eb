"""Batch jobs that their backend did not know for long: a complete listing has the last word."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from openeo_jobs.errors import CallbackError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.failures import make_failure
from openeo_jobs.policy.observation import judge, may_be_lost
from openeo_jobs.status import BACKEND_WORDS, JobStatus
from openeo_jobs.tracking.listings import Look
from openeo_jobs.tracking.rows import ask_person, leaving_moved
from openeo_jobs.tracking.run import Run, log
from openeo_jobs.tracking.steps import make_step


def find_wanted(run: Run, backend_names: Collection[str]) -> set[str]:
    """Return those of these backends whose listings are needed."""
    return {str(job.backend_name) for job in _candidates(run, backend_names, at=run.now())}


def record(run: Run, look: Look) -> None:
    """Draw from a listing what it tells of the batch jobs that were unknown when it was asked for."""
    for job in _candidates(run, [look.backend_name], at=look.asked_at):
        with leaving_moved():
            _judge(run, job, look)


def _candidates(run: Run, backend_names: Collection[str], *, at: datetime) -> list[Job]:
    return [
        job
        for job in run.store.jobs.polled(backend_names, runner_id=run.runner_id)
        if job.attempt is not None
        and may_be_lost(job.attempt, at=at, lost_after=run.settings.lost_after)
        and run.counts_time(str(job.backend_name))
    ]


def _judge(run: Run, job: Job, look: Look) -> None:
    at = run.now()
    seen = next((one for one in look.listing.batch_jobs if one.batch_job_id == job.batch_job_id), None)
    if seen is not None and seen.status in BACKEND_WORDS:
        grace = run.grace_on(look.backend_name)
        verdict = judge(job, seen.status, at=at, grace=grace, asked_at=look.asked_at)
        run.store.progress.record([make_step(run, job, seen, verdict)], at=at)
    elif seen is not None or not look.listing.is_complete:
        return
    elif job.status is not JobStatus.SUBMITTING:
        log.error("row %d is lost: %s no longer knows %s", job.number, job.backend_name, job.batch_job_id)
        run.stats["job lost"] += 1
        run.store.progress.record_lost(job, at=at)
    elif run.store.logins.may_be_anothers(job, run.runner_id):
        ask_person(
            run,
            job,
            f"{job.backend_name} does not show {job.batch_job_id} to this account, and other accounts have "
            "created batch jobs there; adopt it logged in as the one that it belongs to",
        )
    else:
        error = CallbackError(f"{job.backend_name} does not know the row's batch job {job.batch_job_id}")
        log.warning("row %d: start_failed: %s", job.number, error)
        run.store.creations.fail(job, make_failure(error, at=at), at=at)
