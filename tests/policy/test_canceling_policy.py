"""How a row is canceled, when its backend is asked again, and which job has run for too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openeo_jobs.jobs import Attempt, BatchJob, Job, Outcome
from openeo_jobs.policy.canceling import Handling, handle, is_overdue, next_stop
from openeo_jobs.status import ACTIVE, FINAL, JobStatus
from openeo_jobs.testing import make_job

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def make_running(*, seen: int | None = None, told: int | None = None, asked: int = 600) -> Job:
    """Make a job that was asked to start, seen and told to run so many seconds ago."""
    ago = {
        name: None if n is None else NOW - timedelta(seconds=n) for name, n in {"s": seen, "t": told}.items()
    }
    batch_job = BatchJob(
        id=1,
        backend_name="north",
        outcome=Outcome.CREATED,
        batch_job_id="j-1",
        start_sent_at=NOW - timedelta(seconds=asked),
    )
    times: dict[str, Any] = {"running_start_time": ago["s"], "backend_started_at": ago["t"]}
    attempt = Attempt(
        id=1, number=1, backend_name="north", began_at=NOW - timedelta(days=1), batch_job=batch_job, **times
    )
    return make_job(status=JobStatus.RUNNING, attempt=attempt)


@pytest.mark.parametrize("status", JobStatus)
def test_what_has_not_begun_is_canceled_at_once_and_what_is_over_not_at_all(status: JobStatus) -> None:
    expected = Handling.BY_BACKEND if status in ACTIVE else Handling.NOT
    if status is JobStatus.NOT_STARTED:
        expected = Handling.AT_ONCE
    assert handle(make_job(status=status), may_run=False) is expected
    assert (expected is Handling.NOT) == (status in FINAL)


@pytest.mark.parametrize(("may_run", "expected"), [(False, Handling.AT_ONCE), (True, Handling.NOT)])
def test_a_row_that_waits_for_a_person_is_canceled_unless_something_of_it_may_run(
    may_run: bool, expected: Handling
) -> None:
    job = make_job(status=JobStatus.SUBMITTING, needs_person_since=NOW)
    assert handle(job, may_run=may_run) is expected


def test_a_backend_is_asked_to_cancel_less_and_less_often() -> None:
    waits = [next_stop(tries, at=NOW, poll_sleep=MINUTE, chance=0) - NOW for tries in (1, 2, 3, 50)]
    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 60 * MINUTE]


@pytest.mark.parametrize(
    ("seen", "told", "limit", "expected"),
    [
        (61, None, 60, True),
        (60, None, 60, False),
        (61, None, None, False),
        (None, None, 60, False),
        (5, 61, 60, True),  # it ran while we slept: its backend says so
        (61, 5, 60, False),  # it was restarted since
        (5, 601, 60, False),  # before the start was asked for: its clock is wrong
        (61, -5, 60, True),  # so it is in the future
    ],
)
def test_a_job_is_overdue_when_it_has_run_for_too_long(
    seen: int | None, told: int | None, limit: int | None, expected: bool
) -> None:
    allowed = None if limit is None else timedelta(seconds=limit)
    assert is_overdue(make_running(seen=seen, told=told), told_at=NOW, limit=allowed) is expected


def test_the_time_since_its_backend_last_said_that_it_runs_does_not_count() -> None:
    job = make_running(seen=3600)
    assert not is_overdue(job, told_at=None, limit=MINUTE)
    assert not is_overdue(job, told_at=NOW - timedelta(seconds=3590), limit=MINUTE)
    assert is_overdue(job, told_at=NOW - timedelta(seconds=3500), limit=MINUTE)


@pytest.mark.parametrize("status", [one for one in JobStatus if one is not JobStatus.RUNNING])
def test_only_what_runs_is_overdue(status: JobStatus) -> None:
    job = make_job(status=status, attempt=make_running(seen=61).attempt)
    assert not is_overdue(job, told_at=NOW, limit=MINUTE)
    assert not is_overdue(make_job(status=JobStatus.RUNNING), told_at=NOW, limit=MINUTE)
