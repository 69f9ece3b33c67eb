"""How many attempts a row gets, and when the next one may begin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from openeo_jobs.errors import UsageError
from openeo_jobs.jobs import ErrorClass
from openeo_jobs.policy.waiting import SHORTEST, backoff

MAX_ATTEMPTS: Mapping[ErrorClass, int] = {
    ErrorClass.TRANSIENT: 3,
    ErrorClass.REMOTE_ERROR: 1,
    ErrorClass.PERMANENT: 1,
}
"""By what an attempt failed of. What makes a whole backend pause fails no row, and so is not counted."""
MAX_INTERRUPTIONS = 3
"""How often `start_job` may take the process down with it."""


def read_max_attempts(value: Any) -> Mapping[ErrorClass, int]:
    """Return how many attempts a row gets, by class of error.

    *value* is None, for `MAX_ATTEMPTS`; a number, for all that may pass by itself (transient failures and
    batch jobs that failed remotely); or a mapping of classes to numbers, which leaves the others as they are.
    """
    if value is None:
        return MAX_ATTEMPTS
    if not isinstance(value, Mapping):
        value = dict.fromkeys((ErrorClass.TRANSIENT, ErrorClass.REMOTE_ERROR), value)
    for kind, number in value.items():
        if kind not in MAX_ATTEMPTS:
            known = ", ".join(repr(str(one)) for one in MAX_ATTEMPTS)
            raise UsageError(f"max_attempts: no class of error is called {kind!r}; there are: {known}")
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(f"max_attempts is a number from 1, or one by class of error, not {number!r}")
    return {**MAX_ATTEMPTS, **{ErrorClass(kind): number for kind, number in value.items()}}


def is_tried_again(kind: ErrorClass, failed: int, max_attempts: Mapping[ErrorClass, int]) -> bool:
    """Say whether a row whose attempts *failed* so often of that *kind* gets another one by itself."""
    return failed < max_attempts.get(kind, 1)


def next_attempt(failed_at: datetime, failed: int, *, poll_sleep: timedelta, chance: float) -> datetime:
    """Return when the next attempt may begin; the rows behind it get their turn first."""
    return failed_at + backoff(failed, first=max(poll_sleep, SHORTEST), chance=chance)


def kills_the_process(interruptions: int) -> bool:
    """Say whether it is the row that ends the process, so often in a row has its `start_job` not returned."""
    return interruptions >= MAX_INTERRUPTIONS
