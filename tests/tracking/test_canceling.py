"""Rows are canceled wherever they are on their way, and whatever dies in between."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    NO_ANSWER,
    Bench,
    Crash,
    Script,
    create,
    die_before_the_wire,
    die_on_the_wire,
    lose_the_answer,
    never_arrive,
    post,
)

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import ErrorClass, Job
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.cancellations import Requested

REFUSED = BackendRefusedError("[405] MethodNotAllowed: no way", http_status=405)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def request(bench: Bench, *numbers: int) -> Requested:
    return bench.store.cancellations.request(numbers or [1], reason="by me: cancel", at=bench.now)


def remote(bench: Bench, number: int = 1) -> Any:
    return bench.gateway.batch_jobs[f"north-{number}"]


def test_a_row_that_has_not_begun_is_canceled_at_once_and_never_created(bench: Bench) -> None:
    assert request(bench).at_once == [1]
    bench.hooks = {JobStatus.CANCELED: lambda job: None}
    bench.round(60)
    assert (bench.status(), bench.gateway.batch_jobs, bench.hook_calls) == (JobStatus.CANCELED, {}, [])
    last = bench.store.jobs.history(1)[-1]
    assert (last.new, last.actor, last.reason) == (JobStatus.CANCELED, "user", "by me: cancel")
    assert not bench.store.jobs.work_left(["north"], runner_id=bench.run.runner_id)


def test_a_canceled_row_can_be_put_back_in_line(bench: Bench) -> None:
    request(bench)
    assert bench.store.retries.retry([bench.job()], reason="after all", at=bench.now) == 1
    bench.round(60)
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED


@pytest.mark.parametrize("word", ["queued", "running"])
def test_what_is_under_way_is_stopped_on_its_backend(bench: Bench, word: str) -> None:
    bench.hooks = {JobStatus.CANCELED: lambda job: None}
    bench.round()
    remote(bench).status = word
    bench.round(60)
    assert request(bench).by_backend == [1]
    assert bench.status() == word
    bench.round(60)
    assert (bench.status(), bench.count("stop")) == (JobStatus.CANCELED, 1)
    assert bench.hook_calls == [(1, JobStatus.CANCELED)]
    assert remote(bench).status == ("created" if word == "queued" else "canceled")


def test_a_request_survives_the_process_and_the_next_run_carries_it_out(bench: Bench) -> None:
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    bench.restart()
    assert bench.job().cancel_requested_at is not None
    bench.round(60)
    assert (bench.status(), remote(bench).status) == (JobStatus.CANCELED, "canceled")


def test_a_stop_whose_answer_died_with_the_process_is_asked_for_again(bench: Bench) -> None:
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    bench.gateway.fail_next("stop", NO_ANSWER)
    bench.round(60)
    assert bench.status() is JobStatus.RUNNING
    bench.restart()
    bench.round(3600)
    bench.round(3600)
    assert (bench.status(), remote(bench).status) == (JobStatus.CANCELED, "canceled")


def test_what_was_created_and_not_started_never_starts(bench: Bench) -> None:
    bench.gateway.fail_next("start", BackendRefusedError("limit", http_status=429))
    bench.round()
    assert bench.status() is JobStatus.CREATED
    starts = bench.count("start")
    request(bench)
    bench.round(3600)
    bench.round(3600)
    assert (bench.status(), bench.count("start"), remote(bench).status) == (
        *(JobStatus.CANCELED, starts, "created"),
    )


def test_a_request_while_start_job_runs_lets_nothing_start(bench: Bench) -> None:
    def script(bench: Bench, job: Job, *call: Any) -> Any:
        request(bench)
        return create(bench, job, *call)

    bench.script = script
    bench.round()
    assert (bench.status(), bench.count("start")) == (JobStatus.CREATED, 0)
    bench.round(60)
    assert (bench.status(), bench.count("start")) == (JobStatus.CANCELED, 0)


def test_a_start_that_is_still_on_its_way_is_not_taken_for_canceled(bench: Bench) -> None:
    """The start is answered, and acts only after the row was canceled here: it must not go on there."""
    bench.gateway.fail_next("start", NO_ANSWER)
    bench.round()
    assert bench.status() is JobStatus.QUEUED_FOR_START
    request(bench)
    bench.round(120)  # it paused, as the start was not answered
    assert bench.job().attempt.created_seen_at == bench.now
    assert (bench.status(), remote(bench).status) == (JobStatus.QUEUED_FOR_START, "created")
    remote(bench).status = "queued"  # now it arrives
    bench.round(60)
    assert (bench.status(), remote(bench).status) == (JobStatus.CANCELED, "created")


def test_a_start_that_never_arrives_is_canceled_after_a_grace(bench: Bench) -> None:
    bench.gateway.fail_next("start", NO_ANSWER)
    bench.round()
    request(bench)
    bench.round(120)  # it paused, as the start was not answered
    bench.round(100)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    bench.round(20)
    assert bench.status() is JobStatus.CANCELED
    assert bench.count("start") == 1


@pytest.mark.parametrize("crash", [False, True])
def test_a_creation_whose_answer_was_lost_is_not_left_behind(bench: Bench, crash: bool) -> None:
    bench.script = die_on_the_wire if crash else lose_the_answer
    if crash:
        with pytest.raises(Crash):
            bench.round()
        bench.restart()
    else:
        bench.round()
    bench.script = create
    assert bench.status() is JobStatus.SUBMITTING
    assert request(bench).by_backend == [1]
    for _ in range(4):
        bench.round(100)
    assert bench.status() is JobStatus.CANCELED
    assert [one.status for one in bench.gateway.batch_jobs.values()] == ["created"]
    assert (bench.count("start"), bench.job().batch_job_id) == (0, "north-1")


@pytest.mark.parametrize("script", [never_arrive, die_before_the_wire])
def test_a_row_of_which_nothing_was_created_is_canceled_and_not_tried_again(
    bench: Bench, script: Script
) -> None:
    bench.script = script
    bench.hooks = {JobStatus.CANCELED: lambda job: None}
    with suppress(Crash):
        bench.round()
    assert request(bench).by_backend == [1]
    bench.restart()
    bench.script = create
    for _ in range(6):
        bench.round(100)
    assert (bench.status(), bench.gateway.batch_jobs, bench.hook_calls) == (JobStatus.CANCELED, {}, [])


def test_a_row_that_comes_to_wait_for_a_person_is_canceled_instead(bench: Bench) -> None:
    def two_then_crash(bench: Bench, job: Job, gateway: Any, watcher: Any) -> Any:
        post(bench, job, gateway, watcher)
        post(bench, job, gateway, watcher)
        request(bench)
        raise Crash

    bench.script = two_then_crash
    with pytest.raises(Crash):
        bench.round()
    bench.restart()
    bench.script = create
    bench.round(60)
    bench.round(60)
    assert (bench.status(), bench.job().needs_person_since) == (JobStatus.CANCELED, None)
    assert len(bench.store.orphans.open()) == 2


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        BackendRefusedError("[404] JobNotFound", http_status=404, code="JobNotFound"),
        BackendRefusedError("[403] forbidden", http_status=403),
        BackendRefusedError("[400] JobNotActive", http_status=400),
        BackendUnavailableError("[500] Internal", http_status=500),
    ],
)
def test_a_refusal_is_kept_shown_and_asked_again_with_pauses(bench: Bench, error: Exception) -> None:
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    bench.gateway.fail_next("stop", error, times=4)
    bench.round(60)
    assert (bench.job().attempt.cancel_error, bench.status()) == (str(error), JobStatus.RUNNING)
    overview = bench.store.reports.overview()
    assert overview is not None
    assert (overview.canceling, overview.cancel_errors) == (1, [(1, str(error))])
    for _ in range(9):
        bench.round(60)
    assert bench.count("stop") == 4  # after 1, 2, 4 and 8 minutes
    bench.restart()
    assert bench.job().attempt.cancel_error == str(error)
    for _ in range(9):
        bench.round(60)
    assert bench.status() is JobStatus.CANCELED
    assert bench.job().attempt.cancel_error is None
    overview = bench.store.reports.overview()
    assert overview is not None
    assert (overview.canceling, overview.cancel_errors) == (0, [])


def test_who_asks_again_need_not_wait(bench: Bench) -> None:
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    bench.gateway.fail_next("stop", REFUSED, times=1)
    bench.round(60)
    request(bench)
    bench.round(1)
    assert bench.status() is JobStatus.CANCELED


def test_what_ends_otherwise_meanwhile_keeps_its_end(bench: Bench) -> None:
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    remote(bench).status = "finished"
    bench.round(60)
    assert (bench.status(), bench.count("stop")) == (JobStatus.FINISHED, 0)
    assert request(bench).left == [1]


def test_what_failed_on_its_way_to_be_canceled_is_not_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_attempts={ErrorClass.REMOTE_ERROR: 3})
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    remote(bench).status = "error"
    for _ in range(5):
        bench.round(3600)
    assert (bench.status(), len(bench.gateway.batch_jobs)) == (JobStatus.ERROR, 1)


def test_another_process_cancels_what_a_run_acts_on(bench: Bench) -> None:
    other = bench.join()
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(other)
    other.round()
    assert bench.count("stop") == 0
    bench.round(60)
    assert (bench.status(), bench.count("stop")) == (JobStatus.CANCELED, 1)


def test_a_cancellation_waits_for_a_backend_that_is_away(bench: Bench) -> None:
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    bench.gateway.fail_next("get_batch_job", NO_ANSWER)
    bench.gateway.fail_next("list_batch_jobs", NO_ANSWER)
    bench.gateway.fail_next("stop", NO_ANSWER)
    bench.round(60)
    assert bench.store.backends.one("north").paused_class is ErrorClass.TRANSIENT
    for _ in range(8):
        bench.round(600)
    assert bench.status() is JobStatus.CANCELED


def test_what_its_backend_has_not_said_since_the_machine_slept_is_not_overdue(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lease=120.0, cancel_running_after=timedelta(seconds=600))
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    asleep = 8 * 3600
    bench.gateway.fail_next("get_batch_job", BackendRefusedError("odd", http_status=418), times=3)
    bench.round(asleep)
    bench.round(60)
    bench.round(60)
    assert bench.count("stop") == 0
    remote(bench).status = "finished"
    bench.round(60)
    assert (bench.status(), bench.count("stop")) == (JobStatus.FINISHED, 0)


@pytest.mark.parametrize(("told_hours_ago", "stops"), [(7, 1), (None, 0)])
def test_what_began_while_the_machine_slept_counts_as_its_backend_says(
    tmp_path: Path, told_hours_ago: int | None, stops: int
) -> None:
    bench = Bench(tmp_path, lease=120.0, cancel_running_after=timedelta(hours=1))
    bench.round()
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED
    remote(bench).status = "running"
    if told_hours_ago is not None:
        started_at = bench.now.astimezone(UTC) + timedelta(hours=8 - told_hours_ago)
        remote(bench).times = {"started_at": started_at}
    bench.round(8 * 3600)
    assert bench.count("stop") == 0, "not before every backend was asked once"
    bench.round(60)
    assert bench.count("stop") == stops


def test_the_view_shows_why_a_row_is_not_canceled(bench: Bench) -> None:
    bench.round()
    remote(bench).status = "running"
    bench.round(60)
    request(bench)
    bench.gateway.fail_next("stop", REFUSED)
    bench.round(60)
    with closing(sqlite3.connect(bench.folder / "jobs.sqlite")) as connection:
        assert connection.execute("SELECT cancel_error FROM attempts").fetchall() == [(str(REFUSED),)]
