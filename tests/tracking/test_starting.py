"""Starting a batch job: never asked for twice unless it had no effect, and never where it would do harm."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from bench import NO_ANSWER, Bench

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Observation
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop

LIMIT = BackendRefusedError("limit", http_status=400, code="ConcurrentJobLimit")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_start_is_stored_before_it_is_asked_for(bench: Bench) -> None:
    seen = []
    start = bench.gateway.start

    def look_and_start(batch_job_id: str) -> None:
        seen.append(bench.job())
        start(batch_job_id)

    bench.gateway.start = look_and_start
    bench.round()
    (job,) = seen
    assert job.status is JobStatus.QUEUED_FOR_START
    assert job.attempt.batch_job.start_sent_at == bench.now


def test_a_start_whose_answer_is_lost_is_not_repeated(bench: Bench) -> None:
    bench.gateway.fail_next("start", NO_ANSWER, after_effect=True)
    bench.round()
    assert bench.status() is JobStatus.QUEUED_FOR_START
    bench.round(200)
    assert bench.status() is JobStatus.QUEUED
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_a_start_that_had_no_effect_is_repeated_after_created_was_seen_twice_a_grace_apart(
    bench: Bench,
) -> None:
    bench.gateway.fail_next("start", NO_ANSWER)
    bench.round()
    bench.round(130)
    assert bench.count("start") == 1
    bench.round(60)
    assert bench.count("start") == 1
    bench.round(61)
    assert bench.count("start") == 2
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_a_start_that_never_has_an_effect_is_not_asked_for_for_ever(bench: Bench) -> None:
    bench.gateway.fail_next("start", BackendUnavailableError("[500] oops", http_status=500), times=1000)
    for _ in range(8):
        bench.restart()  # what counts is stored
        for _ in range(3):
            bench.round(2000)
    assert bench.count("start") == 5
    assert bench.status() is JobStatus.START_FAILED
    assert bench.job().attempt.failure.message == "5 starts had no effect: the batch job stays created"
    assert [one.status for one in bench.gateway.batch_jobs.values()] == ["created"]
    assert bench.job().batch_job_id == "north-1"
    assert not loop.work_left(bench.run)


def test_starts_that_are_refused_for_now_are_asked_for_again_as_often_as_it_takes(bench: Bench) -> None:
    bench.gateway.fail_next("start", LIMIT, times=20)
    for _ in range(25):
        bench.round(2000)
    assert bench.status() is JobStatus.QUEUED


def test_a_start_that_is_refused_for_now_is_asked_for_again(bench: Bench) -> None:
    """openEO's own manager: the row is `start_failed` for ever."""
    bench.gateway.fail_next("start", LIMIT, times=2)
    bench.round()
    assert bench.status() is JobStatus.CREATED
    bench.round(61)
    assert bench.status() is JobStatus.CREATED
    bench.round(121)
    assert bench.gateway.batch_jobs["north-1"].starts == 1
    assert len(bench.gateway.batch_jobs) == 1


def test_a_start_that_never_left_is_asked_for_again(bench: Bench) -> None:
    bench.gateway.fail_next("start", BackendUnavailableError("no route", reached=False))
    bench.round()
    assert bench.status() is JobStatus.CREATED
    bench.round(200)
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_a_start_that_is_refused_for_good_fails_the_row(bench: Bench) -> None:
    bench.gateway.fail_next("start", BackendRefusedError("too much memory", http_status=400, code="Internal"))
    bench.round()
    assert bench.status() is JobStatus.START_FAILED
    assert bench.job().attempt.failure.message == "too much memory"


def test_a_refusal_because_it_is_active_already_is_no_failure(bench: Bench) -> None:
    bench.gateway.fail_next(
        "start", BackendRefusedError("already", http_status=400, code="JobLocked"), after_effect=True
    )
    bench.round()
    assert bench.status() is JobStatus.QUEUED


@pytest.mark.parametrize("word", ["finished", "error", "canceled", "running"])
def test_after_a_restart_the_backend_is_asked_before_a_start(bench: Bench, word: str) -> None:
    bench.gateway.fail_next("start", LIMIT)
    bench.round()
    bench.restart()
    bench.gateway.batch_jobs["north-1"].status = word
    bench.round(200)
    assert bench.count("start") == 1
    assert bench.status() == word


def test_a_job_that_somebody_stops_in_the_queue_is_not_started_again(bench: Bench) -> None:
    bench.round()
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED
    bench.gateway.stop("north-1")
    for _ in range(4):
        bench.round(60)
    assert bench.status() is JobStatus.CANCELED
    assert bench.gateway.batch_jobs["north-1"].starts == 1
    assert [change.reason for change in bench.store.jobs.history(1)][-1] == (
        "stopped on the backend by somebody else"
    )


def test_a_job_whose_status_is_not_known_is_looked_at_before_it_is_started(bench: Bench) -> None:
    bench.gateway.fail_next("start", LIMIT)
    bench.round()
    bench.restart()
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.gateway.fail_next("get_batch_job", BackendUnavailableError("oops", http_status=500))  # the poll
    bench.round(200)
    assert bench.count("start") == 1
    assert bench.status() is JobStatus.FINISHED


def test_created_that_was_asked_for_before_the_grace_was_over_does_not_repeat_a_start(bench: Bench) -> None:
    """The answer may come in late; what was seen is of before."""
    bench.gateway.fail_next("start", BackendUnavailableError("[500] oops", http_status=500))
    bench.round()
    look = bench.gateway.get_batch_job

    def look_slowly(batch_job_id: str) -> Observation:
        seen = look(batch_job_id)
        bench.now += timedelta(seconds=60)
        return seen

    bench.round(100)
    bench.gateway.get_batch_job = look_slowly
    bench.round(61)
    assert bench.count("start") == 1
    bench.round(61)
    assert bench.count("start") == 2


def test_time_that_an_answer_took_to_come_is_no_time_that_a_batch_job_ran(tmp_path: Path) -> None:
    bench = Bench(tmp_path, cancel_running_after=timedelta(seconds=150))
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "running"
    bench.round(60)
    look = bench.gateway.get_batch_job

    def look_slowly(batch_job_id: str) -> Observation:
        seen = look(batch_job_id)
        bench.now += timedelta(seconds=200)
        return seen

    bench.gateway.get_batch_job = look_slowly
    bench.round(60)
    assert bench.job().cancel_requested_at is None
    bench.round(60)
    assert bench.job().cancel_requested_at is not None
