"""Start batch jobs: stored before it is asked for, and never asked for again unless it had no effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import (
    BackendError,
    BackendRefusedError,
    BackendUnavailableError,
    DatabaseError,
    JobMovedError,
)
from openeo_jobs.jobs import ErrorClass, Job, Observation
from openeo_jobs.policy.failures import classify, is_not_found, make_failure
from openeo_jobs.policy.observation import judge
from openeo_jobs.policy.submission import is_startable
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log
from openeo_jobs.tracking.steps import make_step

_WAITS = frozenset({ErrorClass.LIMIT, ErrorClass.AUTH, ErrorClass.PAYMENT, ErrorClass.TRANSIENT})


def start(run: Run, jobs: Sequence[Job], *, is_fresh: bool, caps: Mapping[str, int] | None = None) -> None:
    """Ask for the start of those of *jobs* that may be started, as far as *caps* allow it now.

    *is_fresh*: this process has just created them. Otherwise the backend is asked first what they are: a
    start of one that has finished would throw its results away (openEO API 1.2.0).
    """
    send = _start_fresh if is_fresh else _look_and_start
    for job in filter(is_startable, jobs):
        cap = caps.get(str(job.backend_name)) if caps is not None else None
        try:
            begun = run.store.progress.begin_start(job, at=run.now(), cap=cap)
        except JobMovedError as error:
            log.warning("%s", error)
            continue
        run.stats["job_queued_for_start"] += 1
        run.ask("start", begun, partial(send, is_ours=partial(run.store.owners.holds, begun)))


def record(run: Run, results: Sequence[Done]) -> None:
    """Store what came of start requests."""
    for done in results:
        outcome: StartOutcome = done.value if done.error is None else StartOutcome(error=done.error)
        try:
            _record_one(run, done.subject, outcome)
        except JobMovedError as error:
            log.info("%s", error)


def is_definitely_refused(error: Exception) -> bool:
    """Say whether the start has certainly not happened."""
    if isinstance(error, BackendUnavailableError):
        return not error.reached
    return isinstance(error, BackendRefusedError)


@dataclass(frozen=True, slots=True)
class StartOutcome:
    """What came of a start request: an error, or what the batch job turned out to be, or neither."""

    error: Exception | None = None
    seen: Observation | None = None
    was_sent: bool = True


def _start_fresh(gateway: Gateway, batch_job_id: str, *, is_ours: Callable[[], bool]) -> StartOutcome:
    """Send the start, unless somebody else has taken the job over while it waited to be sent."""
    try:
        if not is_ours():
            return StartOutcome(was_sent=False)
    except DatabaseError as error:
        return StartOutcome(error=error, was_sent=False)
    try:
        gateway.start(batch_job_id)
    except BackendRefusedError as error:
        if classify(error) in _WAITS:
            return StartOutcome(error=error)
        return StartOutcome(error=error, seen=_look(gateway, batch_job_id))
    except BackendError as error:
        return StartOutcome(error=error)
    return StartOutcome()


def _look_and_start(gateway: Gateway, batch_job_id: str, *, is_ours: Callable[[], bool]) -> StartOutcome:
    try:
        seen = gateway.get_batch_job(batch_job_id)
    except BackendError as error:
        return StartOutcome(error=error, was_sent=False)
    if seen.status != JobStatus.CREATED:
        return StartOutcome(seen=seen)
    return _start_fresh(gateway, batch_job_id, is_ours=is_ours)


def _look(gateway: Gateway, batch_job_id: str) -> Observation | None:
    try:
        return gateway.get_batch_job(batch_job_id)
    except BackendError:
        return None


def _record_one(run: Run, job: Job, outcome: StartOutcome) -> None:
    at = run.now()
    error, seen = outcome.error, outcome.seen
    if seen is not None and seen.status != JobStatus.CREATED:
        verdict = judge(job, seen.status, at=at, grace=run.grace_on(str(job.backend_name)))
        run.store.progress.record([make_step(run, job, seen, verdict)], at=at)
    elif error is None and not outcome.was_sent:
        log.info("row %d: somebody else has taken it over; its start is not sent", job.number)
    elif error is None:
        run.stats["job start"] += 1
        run.note_creation(str(job.backend_name))
    elif not outcome.was_sent:
        run.suspect(str(job.backend_name), error)
        run.store.progress.refuse_start(job, at=at, reason=f"not started: {error}")
    elif not is_definitely_refused(error):
        run.pause(str(job.backend_name), error)
        log.warning("row %d: outcome of the start unknown (%s); what is seen decides", job.number, error)
    elif classify(error) in _WAITS or seen is None or is_not_found(error):  # a registry lags
        run.pause(str(job.backend_name), error)
        run.store.progress.refuse_start(job, at=at, reason=str(error))
        run.learn_cap(str(job.backend_name), error)
    else:
        run.stats["job queued for start failed"] += 1
        log.warning("row %d: start_failed: %s", job.number, error)
        run.store.creations.fail(job, make_failure(error, at=at), at=at)
