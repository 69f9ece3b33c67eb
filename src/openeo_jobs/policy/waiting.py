"""How long to wait after a failure: longer each time, and not everything at the same moment."""

from __future__ import annotations

from datetime import timedelta

from openeo_jobs.jobs import ErrorClass

SHORTEST = timedelta(milliseconds=100)
LONGEST = timedelta(hours=1)
_LONGEST_FOR_A_SLOT = timedelta(minutes=10)
_SPREAD = 0.25

_PAUSES: dict[ErrorClass, tuple[int, timedelta]] = {
    ErrorClass.LIMIT: (1, _LONGEST_FOR_A_SLOT),
    ErrorClass.TRANSIENT: (2, LONGEST),
    ErrorClass.AUTH: (5, timedelta(0)),
    ErrorClass.PAYMENT: (10, timedelta(0)),
}
"""The first pause in rounds, and up to what length the next ones double; what a person has to mend does not
take longer because it was tried more often."""


def pause_length(
    kind: ErrorClass,
    *,
    in_a_row: int,
    poll_sleep: timedelta,
    chance: float,
    retry_after: timedelta | None = None,
) -> timedelta:
    """Return how long a backend rests after its *in_a_row*-th failure, never shorter than it asked for."""
    rounds, longest = _PAUSES[kind]
    wait = backoff(in_a_row, first=max(poll_sleep, SHORTEST) * rounds, longest=longest, chance=chance)
    return max(wait, retry_after or timedelta(0))


def backoff(in_a_row: int, *, first: timedelta, chance: float, longest: timedelta = LONGEST) -> timedelta:
    """Return *first*, doubled with each failure *in_a_row* up to *longest*, and lengthened by *chance*.

    *chance* is between 0 and 1; the whole of it is a quarter more, so that what failed together is not tried
    again together.
    """
    wait = first
    if first < longest:
        wait = min(first * 2 ** min(in_a_row - 1, 20), longest)
    return wait * (1 + _SPREAD * chance)
