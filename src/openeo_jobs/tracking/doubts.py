"""Create requests whose outcome is unknown: listings tell what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openeo_jobs.jobs import BatchJob, Job, Observation
from openeo_jobs.policy.submission import (
    LookUp,
    is_listing_due,
    is_proved_absent,
    pick_original,
    settle,
    titles_are_dropped,
)
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

    @property
    def is_waited_for(self) -> bool:
        """Whether the row waits for nothing else."""
        return not self.is_loose and self.job.needs_person_since is None


def find_wanted(run: Run) -> set[str]:
    """Return the backends whose listings are needed now."""
    return {doubt.post.backend_name for doubt in _find(run) if _is_due(run, doubt)}


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


def _is_due(run: Run, doubt: Doubt) -> bool:
    at = run.now()
    return is_listing_due(
        doubt.post.ended_at or at,
        is_waited_for=doubt.is_waited_for,
        looked_at=run.looked_at.get(doubt.post.backend_name),
        at=at,
        lost_after=run.settings.lost_after,
    )


def _look_up(run: Run, doubt: Doubt, look: Look) -> None:
    post, seen = doubt.post, look.listing.batch_jobs
    found = [one for one in seen if post.tag and post.tag in (one.title or "")]
    if found:
        _record_found(run, doubt, found)
    elif not look.listing.is_complete:
        _judge_incomplete(run, doubt, look)
    elif titles_are_dropped(run.find_backend(look.backend_name).keeps_titles, [one.title for one in seen]):
        _ask_person(run, doubt, f"{look.backend_name} does not return the titles")
    else:
        _record_absent(run, doubt, look)


def _judge_incomplete(run: Run, doubt: Doubt, look: Look) -> None:
    """Leave it to a person where listings were incomplete for long; a complete one may still tell."""
    name, asked_at = look.backend_name, look.asked_at
    run.log_once(("partial", name), "%s: no complete listing for now", name)
    since = max(run.incomplete_since[name], doubt.post.ended_at or asked_at)
    if asked_at - since > run.settings.lost_after and run.counts_time(name):
        _ask_person(run, doubt, f"{name} gave no complete listing")


def _ask_person(run: Run, doubt: Doubt, reason: str) -> None:
    if not doubt.is_loose:
        ask_person(run, doubt.job, f"outcome of creation unknown, and {reason}")


def _need_no_person(run: Run, doubt: Doubt) -> None:
    """Let a row that was left to a person wait for listings again: they tell, after all."""
    if doubt.job.needs_person_since is not None and not doubt.is_loose:
        log.info("row %d waits for no person any more: a listing tells", doubt.job.number)
        run.store.creations.need_no_person(doubt.job, at=run.now())


def _record_absent(run: Run, doubt: Doubt, look: Look) -> None:
    """Store that a listing does not have a request's batch job; it takes two that it was not created."""
    job, post = None if doubt.is_loose else doubt.job, doubt.post
    _need_no_person(run, doubt)
    if post.absent_since is None:
        run.store.creations.record_absent(job, post.id, at=look.asked_at)
    elif is_proved_absent(post, at=look.asked_at, grace=run.grace_on(look.backend_name)):
        run.store.creations.record_not_created(job, post.id)


def _record_found(run: Run, doubt: Doubt, found: list[Observation]) -> None:
    """Store the batch job that a request created; copies that a proxy made are orphans."""
    job, post = doubt.job, doubt.post
    _need_no_person(run, doubt)
    original, copies = pick_original(found)
    run.store.creations.record_found(job, post.id, original.batch_job_id)
    for copy in copies:
        log.warning("row %d: %s is a copy that nobody started", job.number, copy.batch_job_id)
        run.store.creations.record_copy(
            job, backend_name=post.backend_name, batch_job_id=copy.batch_job_id, at=run.now()
        )
