"""Which jobs are submitted where, and what became of create requests whose outcome is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from openeo_jobs.jobs import Backend, BatchJob, Job, Observation, Outcome
from openeo_jobs.status import JobStatus


def plan_submissions(waiting: Sequence[Job], free: Mapping[str, int]) -> list[tuple[Job, str]]:
    """Hand the *waiting* jobs, in order, to the backends that have *free* slots.

    A job that its user pinned to a backend goes there or waits; others go where most slots are free.
    """
    left = dict(free)
    plan = []
    for job in waiting:
        name = job.pinned_backend or max(left, key=lambda name: left[name], default=None)
        if name is not None and left.get(name, 0) > 0:
            left[name] -= 1
            plan.append((job, name))
    return plan


LEARNED_CAP_DOUBLES_AFTER = timedelta(minutes=30)


def effective_cap(backend: Backend, given: int, *, at: datetime) -> int:
    """Return how many jobs may be under way on *backend*: the *given* cap, or a learned one that is lower.

    A backend that refuses one more for a limit shows its own cap: what is active there then. That cap doubles
    every half hour, until it is no lower than the given one or the backend refuses again: a limit that was
    there for a moment is probed away within hours, one that stays costs a few refused requests an hour.
    """
    if backend.learned_cap is None or backend.learned_at is None:
        return given
    doublings = max(0, (at - backend.learned_at) // LEARNED_CAP_DOUBLES_AFTER)
    return min(given, backend.learned_cap << min(doublings, 20))


def plan_starts(waiting: Sequence[Job], room: Mapping[str, int]) -> list[Job]:
    """Return those of the *waiting* jobs, in order, for which their backends have *room*."""
    left = dict(room)
    plan = []
    for job in filter(is_startable, waiting):
        name = str(job.backend_name)
        if left.get(name, 0) > 0:
            left[name] -= 1
            plan.append(job)
    return plan


def is_startable(job: Job) -> bool:
    """Say whether the start may be asked for: the batch job is inert, and we never asked before."""
    return (
        job.status is JobStatus.CREATED
        and job.attempt is not None
        and job.attempt.batch_job is not None
        and job.attempt.batch_job.start_sent_at is None
        and job.attempt.created_seen_at is None
        and job.needs_person_since is None
        and job.user_status is None
        and job.cancel_requested_at is None
    )


_MOST_INCOMPLETE = 3
"""How many times a backend may give no complete listing before it is submitted to without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Nothing was created: back in line, for a new attempt with a new tag."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """This batch job is the one."""

    batch_job: BatchJob


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPerson:
    """It cannot be decided from here."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """A listing has to tell what became of these create requests."""

    batch_jobs: tuple[BatchJob, ...]


def settle(posts: Sequence[BatchJob]) -> Release | Adopt | AskPerson | LookUp:
    """Decide what becomes of a job whose `start_job` did not return, from its create requests."""
    unknown = tuple(post for post in posts if post.outcome is Outcome.UNKNOWN)
    if any(post.tag is None for post in unknown):
        return AskPerson(
            reason="outcome of creation unknown, and without a tag in its title (tag_titles=False, or a body "
            "that is no JSON object) it cannot be found out"
        )
    if unknown:
        return LookUp(batch_jobs=unknown)
    known = [post for post in posts if post.batch_job_id and _is_of_use(post)]
    if not known:
        return Release(reason="nothing was created" if posts else "nothing was sent")
    if len(known) == 1:
        return Adopt(batch_job=known[0])
    ids = ", ".join(str(post.batch_job_id) for post in known)
    return AskPerson(reason=f"interrupted after {len(known)} batch jobs were created ({ids})")


def _is_of_use(post: BatchJob) -> bool:
    return post.outcome is not Outcome.COPY and post.deleted_at is None


def is_proved_absent(post: BatchJob, *, at: datetime, grace: timedelta) -> bool:
    """Say whether a complete listing without its tag, asked for *at* that time, proves that nothing is there.

    It takes two: `absent_since` is the first, and the second has to be asked for later than `ended_at` +
    *grace*, because listings lag.
    """
    return post.absent_since is not None and post.ended_at is not None and at > post.ended_at + grace


def is_listing_due(
    since: datetime, *, is_waited_for: bool, looked_at: datetime | None, at: datetime, lost_after: timedelta
) -> bool:
    """Say whether a backend is listed once more for a create request that is in doubt *since* then.

    It is where nothing but that keeps the row from going on. What has gone on without it, or waits for a
    person meanwhile, costs a listing only now and then, once *lost_after* has passed.
    """
    if is_waited_for or looked_at is None or at - since <= lost_after:
        return True
    return at - looked_at >= lost_after


def is_first_listing_enough(
    *, is_part_missing: bool, times: int, incomplete_for: timedelta, lost_after: timedelta
) -> bool:
    """Say whether a first listing that is not complete is enough for new batch jobs to be created.

    It would tell of batch jobs that the database has forgotten, as a backup was restored. What is in a part
    of a federation that is missing is waited for, though not for ever; a backend that has given no complete
    listing so many *times* gives none.
    """
    if is_part_missing:
        return incomplete_for > lost_after
    return times >= _MOST_INCOMPLETE


def shows_tags(seen: Iterable[Observation], tags: Mapping[str, str]) -> bool | None:
    """Say whether a listing shows the tags that batch jobs were created with: *tags* by batch job id.

    One that comes without its tag is enough to doubt all. None: no such batch job is listed.
    """
    shown = [tags[one.batch_job_id] in (one.title or "") for one in seen if one.batch_job_id in tags]
    return all(shown) if shown else None


def titles_are_dropped(keeps_titles: bool | None, titles: Sequence[str | None]) -> bool:
    """Say whether a listing without a tag proves nothing, because the backend does not return titles.

    Where no listing has shown a batch job of ours yet (*keeps_titles* None), the *titles* have to tell.
    """
    if keeps_titles is None:
        return bool(titles) and not any(titles)
    return not keeps_titles


def pick_original(found: Sequence[Observation]) -> tuple[Observation, list[Observation]]:
    """Pick the batch job to keep of several with one tag: the one that was started, else the oldest."""
    ordered = sorted(found, key=lambda seen: (seen.status == JobStatus.CREATED, seen.created or ""))
    return ordered[0], ordered[1:]
