"""From what a backend said to what is stored of it."""

from __future__ import annotations

from datetime import datetime

from openeo_jobs.jobs import Job, Observation, ResultsStatus
from openeo_jobs.policy.failures import make_refusal
from openeo_jobs.policy.observation import Verdict
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.tracking.run import Run


def read_times(seen: Observation) -> dict[str, datetime]:
    """Return the times that a backend tells, as the attempt keeps them."""
    told = {
        "backend_created_at": seen.created_at,
        "backend_queued_at": seen.queued_at,
        "backend_started_at": seen.started_at,
        "backend_ended_at": seen.ended_at,
    }
    return {name: at for name, at in told.items() if at is not None}


def make_step(run: Run, job: Job, seen: Observation, verdict: Verdict) -> Step:
    """Make the step that stores *verdict* and what else was *seen*."""
    is_over = verdict.status is JobStatus.START_FAILED
    wants_results = run.settings.downloads_results and not run.user_code.has_hook(JobStatus.FINISHED)
    return Step(
        job=job,
        status=verdict.status,
        word=seen.status,
        reason=verdict.reason,
        created_seen_at=verdict.created_seen_at,
        may_start_again=verdict.may_start_again,
        failure=make_refusal(str(verdict.reason), at=run.now()) if is_over else None,
        costs=seen.costs,
        usage=dict(seen.usage),
        backend_times=read_times(seen),
        results_status=ResultsStatus.PENDING if wants_results else ResultsStatus.NOT_WANTED,
    )
