"""Orphans: what a batch job is that has a row's tag, and that the database does not know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from openeo_jobs.jobs import BatchJob, Observation, Outcome
from openeo_jobs.policy.tags import Tag
from openeo_jobs.status import JobStatus


class Origin(StrEnum):
    """Where an unknown batch job with a tag of this campaign comes from."""

    LATE = "late"
    """From a create request that was taken to have created nothing: the listing lagged too long."""
    COPY = "copy"
    """From a create request that has another batch job: a proxy has repeated it."""
    STRAY = "stray"
    """From a create request that the database does not know: a backup was restored, or a file copied."""


class Settlement(StrEnum):
    """What a person has decided about a batch job."""

    FOREIGN = "foreign"
    """It is none of this campaign's business; it stays where it is."""
    DELETED = "deleted"
    """It was deleted on its backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """A batch job that a listing showed, and the database did not know. *post* is its create request."""

    seen: Observation
    tag: Tag
    origin: Origin
    post: BatchJob | None = None


def sort_out(unknown: Iterable[tuple[Observation, Tag, BatchJob | None]]) -> list[Find]:
    """Say where unknown batch jobs come from; each is given with the create request that its tag belongs to.

    Those of requests whose outcome is not known yet are left out: they are about to be adopted. Of several
    with the tag of one request, the first one is its batch job.
    """
    finds: list[Find] = []
    late: set[int] = set()
    for seen, tag, post in unknown:
        if post is None:
            finds.append(Find(seen=seen, tag=tag, origin=Origin.STRAY))
        elif post.outcome is Outcome.NOT_CREATED and post.id not in late:
            late.add(post.id)
            finds.append(Find(seen=seen, tag=tag, origin=Origin.LATE, post=post))
        elif post.outcome is not Outcome.UNKNOWN:
            finds.append(Find(seen=seen, tag=tag, origin=Origin.COPY, post=post))
    return finds


WAITING_REASON = (
    "a batch job has its tag, and the database does not know it: "
    "a backup was restored, or the campaign was copied"
)
"""Why a row waits for a person when strays have its tag."""

_FURTHEST_FIRST = (JobStatus.FINISHED, JobStatus.RUNNING, JobStatus.QUEUED, JobStatus.CREATED)


def rank(word: str | None) -> int:
    """Return how much is to be gained from a batch job of which its backend said *word*; 0 is most."""
    words = [str(status) for status in _FURTHEST_FIRST]
    return words.index(word) if word in words else len(words)
