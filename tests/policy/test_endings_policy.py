"""What is left to do for a job that has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openeo_jobs.jobs import Attempt, ErrorClass, Failure, ResultsStatus, is_complete
from openeo_jobs.policy.downloads import next_download
from openeo_jobs.policy.endings import (
    describe_silence,
    error_message,
    is_reason_wanted,
    is_unfetched,
)
from openeo_jobs.status import JobStatus
from openeo_jobs.testing import make_job

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
FAILURE = Failure(error_class=ErrorClass.REMOTE_ERROR, message="m", at=NOW, key="m")


def make_attempt(**overrides: Any) -> Attempt:
    values: dict[str, Any] = {"id": 1, "number": 1, "backend_name": "north", "began_at": NOW}
    return Attempt(**(values | overrides))


def test_a_download_is_tried_again_after_ever_longer_waits_and_then_given_up() -> None:
    times = [next_download(tries, at=NOW, poll_sleep=timedelta(seconds=60)) for tries in range(1, 7)]

    assert [None if time is None else (time - NOW).total_seconds() for time in times] == [
        *(60, 120, 240, 480, None, None)
    ]


def test_a_download_is_never_tried_again_at_once() -> None:
    again = next_download(1, at=NOW, poll_sleep=timedelta(0))

    assert again is not None and again > NOW


@pytest.mark.parametrize(
    ("status", "attempt", "not_before", "expected"),
    [
        ("error", make_attempt(), None, True),
        ("error", make_attempt(), NOW, True),
        ("error", make_attempt(), LATER, False),
        ("error", make_attempt(failure=FAILURE), None, False),
        ("error", None, None, False),
        ("finished", make_attempt(), None, False),
    ],
)
def test_the_reason_of_a_failure_is_wanted(
    status: str, attempt: Attempt | None, not_before: datetime | None, expected: bool
) -> None:
    job = make_job(status=JobStatus(status), attempt=attempt, results_not_before=not_before)

    assert is_reason_wanted(job, at=NOW) is expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([{"message": "first"}, {"message": "last"}], "last"),
        ([{"message": "said"}, {"level": "error"}, {"message": ""}], "said"),
        ([{"message": 5}], "5"),
        ([], None),
    ],
)
def test_the_last_message_says_why(entries: list[dict[str, Any]], expected: str | None) -> None:
    assert error_message(entries) == expected


def test_logs_without_an_error_are_told_by_their_last_line() -> None:
    assert describe_silence("Stage error") == "(no error in the logs; last line: Stage error)"
    assert describe_silence(None) == "(no error in the logs)"


@pytest.mark.parametrize(
    ("status", "results_status", "attempt", "expected"),
    [
        ("finished", "pending", make_attempt(), True),
        ("finished", "downloading", make_attempt(), True),
        ("finished", "downloaded", make_attempt(), False),
        ("finished", "failed", make_attempt(), False),
        ("finished", "not_wanted", make_attempt(), False),
        ("error", None, make_attempt(), True),
        ("error", None, make_attempt(failure=FAILURE), False),
        ("canceled", None, make_attempt(), False),
    ],
)
def test_a_hook_would_be_too_early(
    status: str, results_status: str | None, attempt: Attempt, expected: bool
) -> None:
    job = make_job(
        status=JobStatus(status),
        results_status=ResultsStatus(results_status) if results_status else None,
        attempt=attempt,
    )

    assert is_unfetched(job) is expected


@pytest.mark.parametrize("status", JobStatus)
@pytest.mark.parametrize("results_status", [None, *ResultsStatus])
def test_finished_is_not_the_end(status: JobStatus, results_status: ResultsStatus | None) -> None:
    expected = status == "finished" and results_status in ("downloaded", "not_wanted")

    assert is_complete(status, results_status) is expected
