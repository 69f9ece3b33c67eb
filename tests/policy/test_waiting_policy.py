"""How long a backend, or a row, waits after a failure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from openeo_jobs.jobs import ErrorClass
from openeo_jobs.policy.waiting import LONGEST, backoff, pause_length

PAUSES = [ErrorClass.LIMIT, ErrorClass.TRANSIENT, ErrorClass.AUTH, ErrorClass.PAYMENT]
MINUTE = timedelta(minutes=1)


def pause(kind: ErrorClass, in_a_row: int = 1, **overrides) -> timedelta:
    return pause_length(kind, **({"in_a_row": in_a_row, "poll_sleep": MINUTE, "chance": 0.0} | overrides))


@pytest.mark.parametrize("kind", PAUSES)
def test_a_first_pause_is_a_few_rounds_long(kind: ErrorClass) -> None:
    assert timedelta(0) < pause(kind, poll_sleep=timedelta(0))
    assert MINUTE <= pause(kind) <= 10 * MINUTE


def test_it_doubles_with_each_failure_up_to_an_hour() -> None:
    lengths = [pause(ErrorClass.TRANSIENT, n) / MINUTE for n in (1, 2, 3, 4, 5, 6, 7, 1000)]
    assert lengths == [2, 4, 8, 16, 32, 60, 60, 60]


def test_one_that_waits_for_a_slot_stays_shorter() -> None:
    assert [pause(ErrorClass.LIMIT, n) / MINUTE for n in (1, 2, 3, 4, 5, 100)] == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize("kind", [ErrorClass.AUTH, ErrorClass.PAYMENT])
def test_what_a_person_mends_is_looked_at_as_often_as_before(kind: ErrorClass) -> None:
    assert pause(kind, 50) == pause(kind)


@pytest.mark.parametrize("kind", PAUSES)
def test_a_backend_gets_the_time_that_it_asks_for(kind: ErrorClass) -> None:
    assert pause(kind, retry_after=timedelta(hours=5)) == timedelta(hours=5)
    assert pause(kind, retry_after=timedelta(seconds=1)) == pause(kind)


def test_chance_lengthens_a_wait_by_up_to_a_quarter() -> None:
    waits = [backoff(1, first=MINUTE, chance=chance) for chance in (0.0, 0.5, 1.0)]
    assert [wait.total_seconds() for wait in waits] == [60, 67.5, 75]


def test_rounds_that_are_longer_than_the_longest_wait_are_kept() -> None:
    assert backoff(9, first=2 * LONGEST, chance=0.0) == 2 * LONGEST
    assert backoff(9, first=timedelta(seconds=1e10), chance=1.0) > LONGEST
