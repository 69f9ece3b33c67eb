"""Find out what became of requests whose outcome is unknown, from complete listings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from openeo_jobs.errors import CallbackError, JobMovedError
from openeo_jobs.jobs import BatchJob, Job, Listing, Observation
from openeo_jobs.policy.attempts import kills_the_process
from openeo_jobs.policy.failures import (
    fails_no_row,
    make_failure,
    make_interruption,
    make_poisoning,
    pauses_backend,
)
from openeo_jobs.policy.observation import judge, may_be_lost
from openeo_jobs.policy.submission import (
    Adopt,
    AskPerson,
    LookUp,
    Release,
    is_proved_absent,
    pick_original,
    settle,
    titles_are_dropped,
)
from openeo_jobs.status import BACKEND_WORDS, JobStatus
from openeo_jobs.tracking import orphans, poller
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log
from openeo_jobs.tracking.steps import make_step

_PATIENCE = 3
"""How many times a backend may refuse its listing before it is submitted to without one."""


def reconcile(run: Run, backend_names: Collection[str]) -> None:
    """Settle every row whose `start_job` did not return; where it takes a listing, ask for one."""
    wanted = _settle_all(run) | (set(backend_names) - run.listed)
    wanted |= {str(job.backend_name) for job in _lost_candidates(run, backend_names)}
    wanted |= {
        post.backend_name
        for job, post in run.store.orphans.loose(run.runner_id)
        if not job.needs_person_since
    }
    orphans.stop_rows(run)
    for name in wanted & set(backend_names):
        gateway = run.gateways[name]
        run.pool.submit(
            "list", lane=name, key=name, subject=(name, run.now()), function=gateway.list_batch_jobs
        )


def record(run: Run, results: Sequence[Done]) -> None:
    """Draw from listings what they prove."""
    for done in results:
        name, asked_at = done.subject
        if done.error is not None:
            run.suspect(name, done.error)
            run.log_once(("list", name), "%s: no listing for now: %s", name, done.error)
            _count_failure(run, name, done.error)
        else:
            run.note_success(name)
            run.listed.add(name)
        listing: Listing = done.value or Listing(batch_jobs=(), is_complete=False)
        for job, post in _find_doubts(run, name, asked_at):
            _each(_look_up, run, job, post, listing)
        for job, post in run.store.orphans.loose(run.runner_id):
            if post.backend_name == name and post.ended_at is not None and post.ended_at <= asked_at:
                _look_up_loose(run, job, post, listing)
        orphans.record(run, name, listing.batch_jobs)
        for job in _lost_candidates(run, [name]):
            _each(_judge_lost, run, job, listing)
        words = {seen.batch_job_id: seen.status for seen in listing.batch_jobs}
        poller.ask_again(run, run.store.jobs.ended_otherwise(name, words, runner_id=run.runner_id))
    _settle_all(run)
    orphans.stop_rows(run)


def _count_failure(run: Run, name: str, error: Exception) -> None:
    """Do without the first listing of a backend that is there, and refuses it again and again."""
    if pauses_backend(error):
        return
    run.listing_failures[name] += 1
    if name not in run.listed and run.listing_failures[name] >= _PATIENCE:
        run.listed.add(name)
        log.warning("%s gives no listing; batch jobs that the database does not know are not noticed", name)


def _each(act: Callable[..., None], run: Run, job: Job, *rest: Any) -> None:
    """Act on one job; if somebody else has changed it meanwhile, the others go on."""
    try:
        act(run, job, *rest)
    except JobMovedError as error:
        log.info("%s", error)


def _find_doubts(run: Run, backend_name: str, asked_at: datetime) -> list[tuple[Job, BatchJob]]:
    """Return the create requests that a listing of this backend, asked for at that time, may tell of."""
    return [
        (job, post)
        for job, posts in run.store.creations.unresolved(run.runner_id)
        if isinstance(decision := settle(posts), LookUp)
        for post in decision.batch_jobs
        if post.backend_name == backend_name and post.ended_at is not None and post.ended_at <= asked_at
    ]


def _settle_all(run: Run) -> set[str]:
    """Settle what can be settled; return the backends whose listing is needed for the rest."""
    wanted: set[str] = set()
    run.store.creations.end_open_requests(run.runner_id, at=run.now())
    for job, posts in run.store.creations.unresolved(run.runner_id):
        try:
            decision = _settle_one(run, job, posts)
        except JobMovedError as error:
            log.info("%s", error)
            continue
        if isinstance(decision, LookUp):
            wanted |= {post.backend_name for post in decision.batch_jobs}
    return wanted


def _settle_one(run: Run, job: Job, posts: list[BatchJob]) -> Release | Adopt | AskPerson | LookUp:
    decision, at = settle(posts), run.now()
    if isinstance(decision, Release):
        _release(run, job, decision)
    elif isinstance(decision, Adopt):
        batch_job = decision.batch_job
        log.info("row %d: batch job %s adopted", job.number, batch_job.batch_job_id)
        was_started = batch_job.start_sent_at is not None
        status = JobStatus.QUEUED_FOR_START if was_started else JobStatus.CREATED
        run.store.creations.adopt(job, batch_job.id, at=at, reason="adopted", status=status)
    elif isinstance(decision, AskPerson):
        log.error("row %d waits for a person: %s", job.number, decision.reason)
        run.store.creations.ask_person(job, reason=decision.reason, at=at)
    return decision


def _release(run: Run, job: Job, decision: Release) -> None:
    """Put a job of which nothing was created back in line, or fail it where it is to blame."""
    at = run.now()
    failure = job.attempt.failure if job.attempt else None
    if job.cancel_requested_at is not None:
        log.info("row %d: %s; canceled", job.number, decision.reason)
        run.store.creations.release(job, at=at, reason=decision.reason)
    elif failure is None and decision.is_interruption:
        _release_interrupted(run, job, decision)
    elif failure is not None and not fails_no_row(failure):
        log.warning("row %d: start_failed: %s", job.number, failure.message)
        run.store.creations.fail(job, failure, at=at)
    else:
        log.info("row %d: %s; back in line", job.number, decision.reason)
        # The rows behind it get their turn first, unless nothing went wrong with it.
        not_before = at + run.settings.poll_sleep if failure is not None else None
        run.store.creations.release(job, at=at, reason=decision.reason, not_before=not_before)


def _release_interrupted(run: Run, job: Job, decision: Release) -> None:
    """Put a job whose callback sent nothing back in line at once, unless it is what ends the process."""
    at = run.now()
    interruptions = 1 + run.store.failures.count_interruptions(job)
    if kills_the_process(interruptions):
        failure = make_poisoning(interruptions, at=at)
        log.error("row %d: start_failed: %s", job.number, failure.message)
        run.store.creations.fail(job, failure, at=at)
        return
    log.info("row %d: %s; back in line", job.number, decision.reason)
    run.store.creations.release(job, at=at, reason=decision.reason, failure=make_interruption(at=at))


def _look_up(run: Run, job: Job, post: BatchJob, listing: Listing) -> None:
    at = run.now()
    found = [seen for seen in listing.batch_jobs if post.tag and post.tag in (seen.title or "")]
    if found:
        _record_found(run, job, post, found)
    elif not listing.is_complete:
        run.log_once(("partial", post.backend_name), "%s: no complete listing for now", post.backend_name)
        has_waited = post.ended_at is not None and at - post.ended_at > run.settings.lost_after
        if has_waited and run.counts_time(post.backend_name):
            reason = f"outcome of creation unknown, and {post.backend_name} gave no complete listing"
            log.error("row %d waits for a person: %s", job.number, reason)
            run.store.creations.ask_person(job, reason=reason, at=at)
    elif titles_are_dropped(_keeps_titles(run, post.backend_name), [s.title for s in listing.batch_jobs]):
        reason = f"outcome of creation unknown, and {post.backend_name} does not return the titles"
        log.error("row %d waits for a person: %s", job.number, reason)
        run.store.creations.ask_person(job, reason=reason, at=at)
    elif post.absent_since is None:
        run.store.creations.record_absent(job, post.id, at=at)
    elif is_proved_absent(post, at=at, grace=run.grace_on(post.backend_name)):
        run.store.creations.record_not_created(job, post.id)


def _record_found(run: Run, job: Job, post: BatchJob, found: list[Observation]) -> None:
    """Store the batch job that a request created; copies that a proxy made are orphans."""
    original, copies = pick_original(found)
    run.store.creations.record_found(job, post.id, original.batch_job_id)
    for copy in copies:
        log.warning("row %d: %s is a copy that nobody started", job.number, copy.batch_job_id)
        run.store.creations.record_copy(
            job, backend_name=post.backend_name, batch_job_id=copy.batch_job_id, at=run.now()
        )


def _look_up_loose(run: Run, job: Job, post: BatchJob, listing: Listing) -> None:
    """Find out what a create request came to whose row went on without it: at most an orphan."""
    found = [seen for seen in listing.batch_jobs if post.tag and post.tag in (seen.title or "")]
    titles = [seen.title for seen in listing.batch_jobs]
    if found:
        _record_found(run, job, post, found)
    elif not listing.is_complete or titles_are_dropped(_keeps_titles(run, post.backend_name), titles):
        return
    elif post.absent_since is None:
        run.store.creations.record_absent(None, post.id, at=run.now())
    elif is_proved_absent(post, at=run.now(), grace=run.settings.grace):
        run.store.creations.record_not_created(None, post.id)


def _keeps_titles(run: Run, backend_name: str) -> bool | None:
    return next((b.keeps_titles for b in run.store.backends.all() if b.name == backend_name), None)


def _lost_candidates(run: Run, backend_names: Collection[str]) -> list[Job]:
    at, lost_after = run.now(), run.settings.lost_after
    return [
        job
        for job in run.store.jobs.polled(backend_names, runner_id=run.runner_id)
        if job.attempt is not None
        and may_be_lost(job.attempt, at=at, lost_after=lost_after)
        and run.counts_time(str(job.backend_name))
    ]


def _judge_lost(run: Run, job: Job, listing: Listing) -> None:
    """Let the listing have the last word on a batch job that its backend did not know for long."""
    at = run.now()
    seen = next((s for s in listing.batch_jobs if s.batch_job_id == job.batch_job_id), None)
    if seen is not None and seen.status in BACKEND_WORDS:
        verdict = judge(job, seen.status, at=at, grace=run.grace_on(str(job.backend_name)))
        run.store.progress.record([make_step(run, job, seen, verdict)], at=at)
    elif seen is not None or not listing.is_complete:
        return
    elif job.status is JobStatus.SUBMITTING and run.store.logins.may_be_anothers(job, run.runner_id):
        reason = (
            f"{job.backend_name} does not show {job.batch_job_id} to this account, and other accounts have "
            "created batch jobs there; adopt it logged in as the one that it belongs to"
        )
        log.error("row %d waits for a person: %s", job.number, reason)
        run.store.creations.ask_person(job, reason=reason, at=at)
    elif job.status is JobStatus.SUBMITTING:
        error = CallbackError(f"{job.backend_name} does not know the row's batch job {job.batch_job_id}")
        log.warning("row %d: start_failed: %s", job.number, error)
        run.store.creations.fail(job, make_failure(error, at=at), at=at)
    else:
        log.error("row %d is lost: %s no longer knows %s", job.number, job.backend_name, job.batch_job_id)
        run.stats["job lost"] += 1
        run.store.progress.record_lost(job, at=at)
