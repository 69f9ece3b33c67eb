"""Find out what became of requests whose outcome is unknown, and settle their rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from openeo_jobs.jobs import BatchJob, Job
from openeo_jobs.policy.attempts import kills_the_process
from openeo_jobs.policy.failures import fails_no_row, make_interruption, make_poisoning
from openeo_jobs.policy.submission import Adopt, AskPerson, Release, settle
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import doubts, listings, lost, orphans, poller
from openeo_jobs.tracking.listings import Look
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.rows import ask_person, leaving_moved
from openeo_jobs.tracking.run import Run, log


def reconcile(run: Run, backend_names: Collection[str]) -> None:
    """Settle every row whose `start_job` did not return; where it takes a listing, ask for one."""
    names = set(backend_names)
    _settle_all(run)
    wanted = (names - run.listed) | doubts.find_wanted(run) | lost.find_wanted(run, names)
    orphans.stop_rows(run)
    listings.ask(run, wanted & names)


def record(run: Run, results: Sequence[Done]) -> None:
    """Draw from listings what they prove."""
    for done in results:
        look = listings.receive(run, done)
        if look is not None:
            _draw(run, look)
    _settle_all(run)
    orphans.stop_rows(run)


def _draw(run: Run, look: Look) -> None:
    name, seen = look.backend_name, look.listing.batch_jobs
    doubts.record(run, look)
    orphans.record(run, name, seen)
    lost.record(run, look)
    words = {one.batch_job_id: one.status for one in seen}
    poller.ask_again(run, run.store.jobs.ended_otherwise(name, words, runner_id=run.runner_id))


def _settle_all(run: Run) -> None:
    """Settle what can be settled without asking."""
    run.store.creations.end_open_requests(run.runner_id, at=run.now())
    for job, posts in run.store.creations.unresolved(run.runner_id):
        with leaving_moved():
            _settle_one(run, job, posts)


def _settle_one(run: Run, job: Job, posts: list[BatchJob]) -> None:
    decision = settle(posts)
    if isinstance(decision, Release):
        _release(run, job, decision)
    elif isinstance(decision, Adopt):
        batch_job = decision.batch_job
        log.info("row %d: batch job %s adopted", job.number, batch_job.batch_job_id)
        was_started = batch_job.start_sent_at is not None
        status = JobStatus.QUEUED_FOR_START if was_started else JobStatus.CREATED
        run.store.creations.adopt(job, batch_job.id, at=run.now(), reason="adopted", status=status)
    elif isinstance(decision, AskPerson):
        ask_person(run, job, decision.reason)


def _release(run: Run, job: Job, decision: Release) -> None:
    """Put a job of which nothing was created back in line, or fail it where it is to blame."""
    at = run.now()
    failure = job.attempt.failure if job.attempt else None
    if job.cancel_requested_at is not None:
        log.info("row %d: %s; canceled", job.number, decision.reason)
        run.store.creations.release(job, at=at, reason=decision.reason)
    elif job.attempt is not None and job.attempt.id in run.survived:
        log.info("row %d: %s; back in line", job.number, decision.reason)
        run.store.creations.release(job, at=at, reason=decision.reason)
    elif failure is None:  # `start_job` has neither returned nor raised
        _release_interrupted(run, job, decision)
    elif not fails_no_row(failure):
        log.warning("row %d: start_failed: %s", job.number, failure.message)
        run.store.creations.fail(job, failure, at=at)
    else:
        log.info("row %d: %s; back in line", job.number, decision.reason)
        not_before = at + run.settings.poll_sleep  # the rows behind it get their turn first
        run.store.creations.release(job, at=at, reason=decision.reason, not_before=not_before)


def _release_interrupted(run: Run, job: Job, decision: Release) -> None:
    """Put a job back in line at once during whose callback the process ended, unless it is what ends it."""
    at = run.now()
    interruptions = 1 + run.store.failures.count_interruptions(job)
    if kills_the_process(interruptions):
        failure = make_poisoning(interruptions, at=at)
        log.error("row %d: start_failed: %s", job.number, failure.message)
        run.store.creations.fail(job, failure, at=at)
        return
    reason = f"interrupted: {decision.reason}"
    log.info("row %d: %s; back in line", job.number, reason)
    run.store.creations.release(job, at=at, reason=reason, failure=make_interruption(at=at))
