"""When a backend is asked again for the costs of a batch job that has ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from openeo_jobs.policy.waiting import SHORTEST, backoff

ASKED_FOR = timedelta(days=1)
"""How long after its end a batch job is asked for costs that are not known."""
LONGEST = timedelta(hours=4)


def next_ask(
    tries: int, *, ended_at: datetime, at: datetime, poll_sleep: timedelta, chance: float
) -> datetime | None:
    """Return when costs are asked for again that were not known at the *tries*-th time; None: not any more.

    Whoever asks later than `ASKED_FOR` after the end, because nothing ran meanwhile, asks once.
    """
    if at - ended_at >= ASKED_FOR:
        return None
    return at + backoff(tries, first=max(poll_sleep, SHORTEST), longest=LONGEST, chance=chance)
