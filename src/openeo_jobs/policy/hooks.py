"""When the hook for the end of a job is called: until it has returned, and not without end if it raises."""

from __future__ import annotations

from datetime import datetime, timedelta

from openeo_jobs.jobs import Attempt, Job
from openeo_jobs.policy.waiting import SHORTEST, backoff
from openeo_jobs.status import ENDED

HOOK_TRIES = 3
"""How often a hook that raises is called, before it has failed: until the next run, or until a user asks."""


def is_hook_due(job: Job, *, runner_id: int, at: datetime) -> bool:
    """Say whether the hook for the end of *job* is to be called now: it has not returned, nor failed here."""
    attempt = job.attempt
    return (
        job.status in ENDED
        and attempt is not None
        and attempt.hook_returned_at is None
        and attempt.hook_failed_runner_id != runner_id
        and (attempt.hook_not_before is None or attempt.hook_not_before <= at)
    )


def count_tries(attempt: Attempt) -> int:
    """Return how often the hook has raised, once more included; one that had failed begins anew."""
    return 1 if attempt.hook_failed_runner_id is not None else attempt.hook_tries + 1


def next_call(tries: int, *, at: datetime, poll_sleep: timedelta, chance: float) -> datetime | None:
    """Return when a hook that raised *tries* times is called again; None: it has failed."""
    if tries >= HOOK_TRIES:
        return None
    return at + backoff(tries, first=max(poll_sleep, SHORTEST), chance=chance)
