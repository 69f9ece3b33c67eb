"""Cancel what a user has asked to be canceled, and what has run for too long."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendError, JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.canceling import STOPPABLE, is_overdue, next_stop
from openeo_jobs.policy.observation import judge
from openeo_jobs.status import POLLED, JobStatus
from openeo_jobs.storage.cancellations import StopAnswer
from openeo_jobs.storage.progress import Step
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking import poller
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log
from openeo_jobs.tracking.steps import read_times

_RECORDED = POLLED | {JobStatus.CANCELED}
"""What may be stored of a batch job without a run: other ends have results, or a reason, to be fetched."""


def cancel(run: Run, backend_names: Collection[str]) -> None:
    """Ask these backends to cancel what is to be canceled, and is queued or runs there."""
    for number in run.store.cancellations.settle(at=run.now()):
        log.info("row %d: canceled while its creation was in doubt", number)
    _request_overdue(run)
    for job in run.store.cancellations.due(backend_names, runner_id=run.runner_id, at=run.now()):
        run.ask("cancel", job, _stop)


def record(run: Run, results: Sequence[Done]) -> None:
    """Store what backends said; what was canceled is asked for at once, what was refused again later."""
    answers = []
    for done in results:
        job: Job = done.subject
        answers.append(_make_answer(run, job, done.error))
        if done.error is None:
            run.note_success(str(job.backend_name))
        else:
            run.suspect(str(job.backend_name), done.error)
            run.log_once(("cancel", job.number), "row %d: not canceled yet: %s", job.number, done.error)
    run.store.cancellations.record(answers)
    poller.ask_again(run, [answer.job for answer in answers])


def cancel_without_run(
    store: JobStore, gateway: Gateway, job: Job, *, now: Callable[[], datetime], grace: timedelta
) -> Job:
    """Cancel a job on which no run acts, as far as its backend allows it now; return it as it is then.

    Raises `BackendError` where the backend does not answer, or refuses, which is stored.
    """
    job = _look(store, gateway, job, at=now(), grace=grace)
    if job.status not in STOPPABLE:
        return job
    again_at = next_stop(1, at=now(), poll_sleep=timedelta(0), chance=0)
    try:
        gateway.stop(str(job.batch_job_id))
    except BackendError as error:
        store.cancellations.record([StopAnswer(job=job, again_at=again_at, error=str(error))])
        raise
    store.cancellations.record([StopAnswer(job=job, again_at=again_at)])
    return _look(store, gateway, job, at=now(), grace=grace)


def _request_overdue(run: Run) -> None:
    limit = run.settings.cancel_running_after
    if limit is None:
        return
    for job in run.store.jobs.of_status([JobStatus.RUNNING], runner_id=run.runner_id):
        if job.cancel_requested_at is not None or not run.counts_time(str(job.backend_name)):
            continue
        if is_overdue(job, told_at=run.told_running.get(job.number), limit=limit):
            _request_one(run, job, limit)


def _request_one(run: Run, job: Job, limit: timedelta) -> None:
    try:
        run.store.cancellations.request_overdue(job, at=run.now())
    except JobMovedError as error:
        log.info("%s", error)
    else:
        log.warning("row %d has run for more than %s: canceled", job.number, limit)


def _stop(gateway: Gateway, batch_job_id: str) -> None:
    gateway.stop(batch_job_id)


def _make_answer(run: Run, job: Job, error: Exception | None) -> StopAnswer:
    tries = (job.attempt.cancel_tries if job.attempt else 0) + 1
    again_at = next_stop(tries, at=run.now(), poll_sleep=run.settings.poll_sleep, chance=run.take_chance())
    return StopAnswer(job=job, again_at=again_at, error=None if error is None else str(error))


def _look(store: JobStore, gateway: Gateway, job: Job, *, at: datetime, grace: timedelta) -> Job:
    """Ask what a batch job is, and store it if nothing else follows from it."""
    seen = gateway.get_batch_job(str(job.batch_job_id))
    verdict = judge(job, seen.status, at=at, grace=grace)
    if verdict.status in _RECORDED:
        step = Step(
            job=job,
            status=verdict.status,
            word=seen.status,
            reason=verdict.reason,
            created_seen_at=verdict.created_seen_at,
            costs=seen.costs,
            usage=dict(seen.usage),
            backend_times=read_times(seen),
        )
        store.progress.record([step], at=at)
    return store.jobs.with_numbers([job.number])[0]
