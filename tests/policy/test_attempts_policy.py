"""How many attempts a row gets, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openeo_jobs.errors import UsageError
from openeo_jobs.jobs import ErrorClass
from openeo_jobs.policy.attempts import (
    MAX_ATTEMPTS,
    is_tried_again,
    kills_the_process,
    next_attempt,
    read_max_attempts,
)

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
TRANSIENT, REMOTE, PERMANENT = ErrorClass.TRANSIENT, ErrorClass.REMOTE_ERROR, ErrorClass.PERMANENT


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {TRANSIENT: 3, REMOTE: 1, PERMANENT: 1}),
        (5, {TRANSIENT: 5, REMOTE: 5, PERMANENT: 1}),
        ({}, {TRANSIENT: 3, REMOTE: 1, PERMANENT: 1}),
        ({"remote error": 2}, {TRANSIENT: 3, REMOTE: 2, PERMANENT: 1}),
        ({"permanent": 2, "transient": 1}, {TRANSIENT: 1, REMOTE: 1, PERMANENT: 2}),
    ],
)
def test_a_number_or_numbers_by_class_of_error(value: object, expected: dict[ErrorClass, int]) -> None:
    assert read_max_attempts(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *((value, "max_attempts is a number from 1") for value in (0, True, 2.5, "3", {"transient": 0})),
        ({"payment": 3}, "no class of error is called 'payment'; there are: 'transient', 'remote error'"),
        ({"remote_error": 3}, "'remote_error'"),
        ({3: 3}, "no class of error is called 3"),
    ],
)
def test_anything_else_is_refused(value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_max_attempts(value)


@pytest.mark.parametrize(
    ("kind", "failed", "expected"),
    [
        *((TRANSIENT, 1, True), (TRANSIENT, 2, True), (TRANSIENT, 3, False)),
        *((REMOTE, 1, False), (PERMANENT, 1, False)),
        *((ErrorClass.INTERRUPTED, 1, False), (ErrorClass.PAYMENT, 1, False)),
    ],
)
def test_a_failure_that_may_pass_is_tried_again_a_few_times(
    kind: ErrorClass, failed: int, expected: bool
) -> None:
    assert is_tried_again(kind, failed, MAX_ATTEMPTS) is expected


def test_each_attempt_waits_longer_than_the_one_before() -> None:
    begins = [next_attempt(NOW, n, poll_sleep=timedelta(minutes=1), chance=0.0) - NOW for n in (1, 2, 3, 99)]
    assert [wait.total_seconds() / 60 for wait in begins] == [1, 2, 4, 60]


def test_a_row_may_take_the_process_down_twice() -> None:
    assert [kills_the_process(n) for n in (1, 2, 3, 4)] == [False, False, True, True]
