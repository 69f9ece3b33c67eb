"""When costs are asked for again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from openeo_jobs.policy.costs import ASKED_FOR, LONGEST, next_ask

ENDED_AT = datetime(2024, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def asks(poll_sleep: timedelta = MINUTE) -> list[timedelta]:
    """Return how long after the end it is asked, if costs are never known."""
    at, found = ENDED_AT, []
    while again := next_ask(len(found) + 1, ended_at=ENDED_AT, at=at, poll_sleep=poll_sleep, chance=0):
        at = again
        found.append(at - ENDED_AT)
    return found


def test_it_is_asked_less_and_less_often_for_a_day() -> None:
    assert asks()[:4] == [1 * MINUTE, 3 * MINUTE, 7 * MINUTE, 15 * MINUTE]
    assert ASKED_FOR <= asks()[-1] <= ASKED_FOR + LONGEST
    assert len(asks()) < 16


def test_who_comes_later_than_a_day_asks_once() -> None:
    late = ENDED_AT + timedelta(days=30)
    assert next_ask(1, ended_at=ENDED_AT, at=late, poll_sleep=MINUTE, chance=0) is None


def test_a_quick_rehearsal_does_not_ask_without_a_break() -> None:
    assert asks(timedelta(0))[0] >= timedelta(milliseconds=100)
