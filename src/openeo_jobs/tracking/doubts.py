"""Create requests whose outcome is unknown: listings tell what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openeo_jobs.jobs import BatchJob, Job, Observation
from openeo_jobs.policy.submission import LookUp, is_proved_absent, pick_original, settle, titles_are_dropped
from openeo_jobs.tracking.listings import Look
from openeo_jobs.tracking.rows import ask_person, leaving_moved
from openeo_jobs.tracking.run import Run, log


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A create request whose outcome is unknown, and its row."""

    job: Job
    post: BatchJob
    is_loose: bool = False
    """Whether the row went on without it: at most, it has created an orphan."""


def find_wanted(run: Run) -> set[str]:
    """Return the backends whose listings are needed."""
    return {doubt.post.backend_name for doubt in _find(run) if not doubt.job.needs_person_since}


def record(run: Run, look: Look) -> None:
    """Draw from a listing what it tells of the requests that had ended when it was asked for."""
    for doubt in list(_find(run)):
        post = doubt.post
        if post.backend_name == look.backend_name and post.ended_at and post.ended_at <= look.asked_at:
            with leaving_moved():
                _look_up(run, doubt, look)


def _find(run: Run) -> Iterator[Doubt]:
    for job, posts in run.store.creations.unresolved(run.runner_id):
        decision = settle(posts)
        if isinstance(decision, LookUp):
            yield from (Doubt(job=job, post=post) for post in decision.batch_jobs)
    for job, post in run.store.orphans.loose(run.runner_id):
        yield Doubt(job=job, post=post, is_loose=True)


def _look_up(run: Run, doubt: Doubt, look: Look) -> None:
    post, seen = doubt.post, look.listing.batch_jobs
    found = [one for one in seen if post.tag and post.tag in (one.title or "")]
    if found:
        _record_found(run, doubt, found)
    elif not look.listing.is_complete:
        _judge_incomplete(run, doubt)
    elif titles_are_dropped(_keeps_titles(run, look.backend_name), [one.title for one in seen]):
        _ask_person(run, doubt, f"{look.backend_name} does not return the titles")
    else:
        _record_absent(run, doubt, look)


def _judge_incomplete(run: Run, doubt: Doubt) -> None:
    name, ended_at = doubt.post.backend_name, doubt.post.ended_at
    run.log_once(("partial", name), "%s: no complete listing for now", name)
    has_waited = ended_at is not None and run.now() - ended_at > run.settings.lost_after
    if has_waited and run.counts_time(name):
        _ask_person(run, doubt, f"{name} gave no complete listing")


def _ask_person(run: Run, doubt: Doubt, reason: str) -> None:
    if not doubt.is_loose:
        ask_person(run, doubt.job, f"outcome of creation unknown, and {reason}")


def _record_absent(run: Run, doubt: Doubt, look: Look) -> None:
    """Store that a listing does not have a request's batch job; it takes two that it was not created."""
    job, post = None if doubt.is_loose else doubt.job, doubt.post
    if post.absent_since is None:
        run.store.creations.record_absent(job, post.id, at=look.asked_at)
    elif is_proved_absent(post, at=look.asked_at, grace=run.grace_on(look.backend_name)):
        run.store.creations.record_not_created(job, post.id)


def _record_found(run: Run, doubt: Doubt, found: list[Observation]) -> None:
    """Store the batch job that a request created; copies that a proxy made are orphans."""
    job, post = doubt.job, doubt.post
    original, copies = pick_original(found)
    run.store.creations.record_found(job, post.id, original.batch_job_id)
    for copy in copies:
        log.warning("row %d: %s is a copy that nobody started", job.number, copy.batch_job_id)
        run.store.creations.record_copy(
            job, backend_name=post.backend_name, batch_job_id=copy.batch_job_id, at=run.now()
        )


def _keeps_titles(run: Run, backend_name: str) -> bool | None:
    return next((b.keeps_titles for b in run.store.backends.all() if b.name == backend_name), None)
