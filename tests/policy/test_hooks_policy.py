"""When a hook is called, and how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openeo_jobs.jobs import Attempt
from openeo_jobs.policy.hooks import count_tries, is_hook_due, next_call
from openeo_jobs.status import JobStatus
from openeo_jobs.testing import make_job

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


def make_attempt(**overrides: Any) -> Attempt:
    values: dict[str, Any] = {"id": 1, "number": 1, "backend_name": "north", "began_at": NOW}
    return Attempt(**(values | overrides))


@pytest.mark.parametrize(
    ("status", "attempt", "expected"),
    [
        ("finished", make_attempt(), True),
        ("error", make_attempt(), True),
        ("canceled", make_attempt(), True),
        ("running", make_attempt(), False),
        ("lost", make_attempt(), False),
        ("skipped", make_attempt(), False),
        ("start_failed", make_attempt(), False),
        ("canceled", None, False),
        ("finished", make_attempt(hook_returned_at=NOW), False),
        ("finished", make_attempt(hook_tries=1, hook_not_before=LATER), False),
        ("finished", make_attempt(hook_tries=1, hook_not_before=NOW), True),
        ("finished", make_attempt(hook_tries=3, hook_failed_runner_id=7), False),
        ("finished", make_attempt(hook_tries=3, hook_failed_runner_id=6), True),
    ],
)
def test_a_hook_is_due_until_it_has_returned_or_failed_in_this_run(
    status: str, attempt: Attempt | None, expected: bool
) -> None:
    job = make_job(status=JobStatus(status), attempt=attempt)

    assert is_hook_due(job, runner_id=7, at=NOW) is expected


def test_a_hook_that_raises_is_called_three_times_with_ever_longer_waits() -> None:
    times = [next_call(tries, at=NOW, poll_sleep=timedelta(seconds=60), chance=0) for tries in range(1, 5)]

    assert [None if time is None else (time - NOW).total_seconds() for time in times] == [60, 120, None, None]


def test_a_hook_is_never_called_again_at_once() -> None:
    again = next_call(1, at=NOW, poll_sleep=timedelta(0), chance=0)

    assert again is not None and again > NOW


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (make_attempt(), 1),
        (make_attempt(hook_tries=1), 2),
        (make_attempt(hook_tries=2), 3),
        (make_attempt(hook_tries=3, hook_failed_runner_id=6), 1),
    ],
)
def test_tries_count_across_runs_until_the_hook_has_failed(attempt: Attempt, expected: int) -> None:
    assert count_tries(attempt) == expected
