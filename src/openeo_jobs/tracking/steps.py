"""From what a backend said to what is stored of it."""

from __future__ import annotations

from openeo_jobs.jobs import Job, Observation, ResultsStatus
from openeo_jobs.policy.failures import make_refusal
from openeo_jobs.policy.observation import Verdict
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.tracking.run import Run


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
        results_status=ResultsStatus.PENDING if wants_results else ResultsStatus.NOT_WANTED,
    )
