"""Ask for statuses, and record what has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.jobs import Job, Observation
from openeo_jobs.policy.failures import is_about_one_job, is_not_found, pauses_backend
from openeo_jobs.policy.observation import judge
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log
from openeo_jobs.tracking.steps import make_step

_COUNTERS = {
    JobStatus.FINISHED: "job finished",
    JobStatus.ERROR: "job failed",
    JobStatus.CANCELED: "job canceled",
    JobStatus.RUNNING: "job started running",
}


def ask(run: Run, backend_names: Collection[str]) -> None:
    """Ask these backends for every batch job that has not ended."""
    run.stats["track_statuses"] += 1
    for job in run.store.jobs.polled(backend_names, runner_id=run.runner_id):
        _ask(run, job)


def ask_again(run: Run, jobs: Iterable[Job]) -> None:
    """Ask for batch jobs that have ended: what was said last may not be the last word."""
    for job in run.store.owners.take(run.runner_id, jobs):
        _ask(run, job)


def record(run: Run, results: Sequence[Done]) -> None:
    """Record what the backends said, in one transaction; one answer that fails stops none of the others."""
    at = run.now()
    steps: list[Step] = []
    not_found: list[Job] = []
    for done in results:
        job: Job = done.subject
        if done.error is None:
            run.stats["job describe"] += 1
            run.note_success(str(job.backend_name))
            steps.append(_step(run, job, done.value))
            if done.value.seen.status == JobStatus.RUNNING:
                run.told_running[job.number] = done.value.asked_at
            continue
        if is_about_one_job(done.error):
            not_found.append(job)
        if not is_not_found(done.error):
            _note_failure(run, job, done.error)
    moved = run.store.progress.record(steps, at=at)
    run.store.progress.record_not_found(not_found, at=at)
    for job in moved:
        log.info("row %d has moved: what its backend said is not recorded", job.number)
    _note_titles(run, results)
    _tell(run, [step for step in steps if step.job not in moved])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend said of a batch job, and when it was asked: it may have taken long to say so."""

    seen: Observation
    asked_at: datetime


def _ask(run: Run, job: Job) -> None:
    run.ask("poll", job, partial(_describe, asked_at=run.now()))


def _describe(gateway: Gateway, batch_job_id: str, *, asked_at: datetime) -> Answer:
    return Answer(gateway.get_batch_job(batch_job_id), asked_at)


def _step(run: Run, job: Job, answer: Answer) -> Step:
    seen, grace = answer.seen, run.grace_on(str(job.backend_name))
    verdict = judge(job, seen.status, at=run.now(), grace=grace, asked_at=answer.asked_at)
    if verdict.is_unknown_word:
        run.log_once(
            ("word", seen.status, job.status),
            "row %d is %s, and its backend says %r, which does not follow; it stays as it is",
            *(job.number, job.status, seen.status),
        )
    return make_step(run, job, seen, verdict)


def _note_failure(run: Run, job: Job, error: Exception) -> None:
    run.stats["job tracking error"] += 1
    run.suspect(str(job.backend_name), error)
    if not pauses_backend(error):
        run.log_once(("poll", job.number), "row %d: status not known for now: %s", job.number, error)


def _note_titles(run: Run, results: Sequence[Done]) -> None:
    """Notice that titles do not come back; that they do, only a listing can show."""
    unknown = {one.name for one in run.store.backends.all() if one.keeps_titles is None}
    for name in {str(done.subject.backend_name) for done in results if _lacks_tag(done)} & unknown:
        run.store.backends.record_titles(name, keeps_titles=False)


def _lacks_tag(done: Done) -> bool:
    """Say whether a batch job came without the tag that it was created with."""
    attempt = done.subject.attempt
    tag = attempt.batch_job.tag if attempt and attempt.batch_job else None
    return done.error is None and tag is not None and tag not in (done.value.seen.title or "")


def _tell(run: Run, steps: Sequence[Step]) -> None:
    for step in steps:
        if step.status is not step.job.status:
            log.info("row %d: %s -> %s", step.job.number, step.job.status, step.status)
            if step.status in _COUNTERS:
                run.stats[_COUNTERS[step.status]] += 1
