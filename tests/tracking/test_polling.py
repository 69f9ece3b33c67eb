"""What the backends say, and what is stored of it."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest
from bench import Bench, Crash

from openeo_jobs.errors import BackendAnswerError, BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import ResultsStatus
from openeo_jobs.status import JobStatus

GONE = BackendRefusedError("no such job", http_status=404, code="JobNotFound")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.round()
    return bench


def test_statuses_costs_and_usage_are_stored_as_they_are_said(bench: Bench) -> None:
    fake = bench.gateway.batch_jobs["north-1"]
    bench.round(60)
    fake.status = "running"
    bench.round(60)
    assert bench.job().attempt.running_start_time == bench.now
    fake.status, fake.costs = "finished", 4.5
    fake.usage = {"cpu": {"value": 12.5, "unit": "cpu-seconds"}, "odd": {"value": None}}
    bench.round(60)
    attempt = bench.job().attempt
    assert (attempt.costs, attempt.currency, attempt.ended_at) == (4.5, "credits", bench.now)
    assert attempt.usage == fake.usage
    assert [change.new.value for change in bench.store.jobs.history(1)] == [
        *("submitting", "created", "queued_for_start", "queued", "running", "finished")
    ]


def test_a_word_that_nobody_knows_is_kept_and_warned_about_once(bench: Bench, caplog) -> None:
    bench.gateway.batch_jobs["north-1"].status = "pondering"
    bench.round(60)
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert bench.job().attempt.backend_status == "pondering"
    assert sum("pondering" in record.getMessage() for record in caplog.records) == 1


def _end(bench: Bench, word: str) -> None:
    """Let the batch job be told to have ended like that."""
    bench.gateway.batch_jobs["north-1"].status = word
    bench.round(60)
    assert bench.status() == word


def test_the_next_run_finds_an_end_that_was_corrected_and_calls_the_other_hook(bench: Bench) -> None:
    bench.hooks = {JobStatus.CANCELED: lambda job: None, JobStatus.FINISHED: lambda job: None}
    _end(bench, "canceled")
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.round(60)
    assert bench.status() is JobStatus.CANCELED, "nothing waits for it"
    bench.restart()
    bench.round(60)
    bench.round(60)
    assert bench.status() is JobStatus.FINISHED
    assert bench.hook_calls == [(1, JobStatus.CANCELED), (1, JobStatus.FINISHED)]


def test_the_results_of_an_end_that_was_corrected_are_fetched(bench: Bench) -> None:
    _end(bench, "canceled")
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.restart()
    bench.round(60)
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_a_batch_job_without_results_is_asked_whether_it_has_finished_after_all(bench: Bench) -> None:
    refusal = BackendRefusedError("failed", http_status=424)
    bench.gateway.fail_next("get_results", refusal, times=5)
    bench.gateway.fail_next("get_error_logs", refusal, times=5)
    _end(bench, "finished")
    bench.gateway.batch_jobs["north-1"].status = "error"
    bench.round(3600)
    job = bench.job()
    assert (job.status, job.results_status, job.results_tries) == (JobStatus.ERROR, None, 0)


def test_an_end_that_a_user_has_set_stays(bench: Bench) -> None:
    _end(bench, "finished")
    with sqlite3.connect(bench.folder / "jobs.sqlite") as connection:
        connection.execute("UPDATE job SET status = 'canceled'")
    connection.close()
    bench.restart()
    bench.round(60)
    bench.round(60)
    assert bench.status() is JobStatus.CANCELED


def test_a_listing_that_lags_changes_no_end(bench: Bench) -> None:
    bench.gateway.batch_jobs["north-1"].costs = 1.5
    _end(bench, "finished")
    bench.restart()
    asked = bench.count("get_batch_job")
    bench.gateway.batch_jobs["north-1"].status = "running"
    bench.round(60)
    assert bench.status() is JobStatus.FINISHED
    assert bench.count("list_batch_jobs") == 2  # one of each run
    assert bench.count("get_batch_job") == asked


def test_not_found_right_after_creation_is_normal(bench: Bench) -> None:
    bench.gateway.batch_jobs["north-1"].is_found = False
    for _ in range(3):
        bench.round(60)
    bench.gateway.batch_jobs["north-1"].is_found = True
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED
    assert bench.job().attempt.not_found_count == 0


def test_lost_takes_three_times_a_long_time_and_a_complete_listing(bench: Bench) -> None:
    fake = bench.gateway.batch_jobs["north-1"]
    fake.is_found, fake.is_listed = False, False
    bench.round(60)
    bench.round(1801)  # long enough, but only the second time
    assert bench.status() is JobStatus.QUEUED_FOR_START
    bench.gateway.is_listing_complete = False  # a part of a federation is missing
    bench.round(60)
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    bench.gateway.is_listing_complete = True
    bench.round(60)
    assert bench.status() is JobStatus.LOST


def test_a_job_that_is_listed_is_not_lost_however_often_it_is_not_found(bench: Bench) -> None:
    bench.gateway.batch_jobs["north-1"].is_found = False
    for _ in range(10):
        bench.round(1000)
    assert bench.status() is JobStatus.QUEUED


def test_a_silent_backend_loses_nothing(bench: Bench) -> None:
    bench.gateway.fail_next("get_batch_job", BackendUnavailableError("no answer"), times=50)
    for _ in range(10):
        bench.round(1000)
    assert bench.status() is JobStatus.QUEUED_FOR_START


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailableError("oops", http_status=500),
        BackendAnswerError("not JSON"),
        BackendRefusedError("a failed job answers 400", http_status=400),
    ],
)
def test_an_answer_that_makes_no_sense_pauses_nothing_and_is_told_once(bench: Bench, caplog, error) -> None:
    bench.gateway.fail_next("get_batch_job", error, times=2)
    bench.round(60)
    bench.round(60)
    assert bench.store.backends.all()[0].paused_class is None
    assert sum("status not known" in record.getMessage() for record in caplog.records) == 1
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED


def test_a_backend_that_is_back_goes_on(bench: Bench, caplog) -> None:
    caplog.set_level(logging.INFO)
    busy = BackendUnavailableError("[503] InfrastructureBusy", http_status=503)
    bench.gateway.fail_next("get_batch_job", busy)
    bench.round(60)
    (backend,) = bench.store.backends.all()
    assert backend.paused_reason == "[503] InfrastructureBusy"
    calls = len(bench.gateway.calls)
    bench.round(10)
    assert len(bench.gateway.calls) == calls
    bench.round(120)
    assert bench.store.backends.all()[0].paused_class is None
    assert bench.status() is JobStatus.QUEUED
    assert "north back after 130 s" in caplog.text


def test_a_job_that_runs_for_too_long_is_canceled(tmp_path: Path) -> None:
    from datetime import timedelta

    bench = Bench(tmp_path, cancel_running_after=timedelta(seconds=100))
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "running"
    bench.round(60)
    bench.round(99)
    assert bench.count("stop") == 0
    bench.round(2)
    assert bench.count("stop") == 1
    bench.round(60)
    assert bench.status() is JobStatus.CANCELED
    assert bench.job().cancel_requested_at is not None


def test_results_are_fetched_and_a_failure_is_tried_again(bench: Bench) -> None:
    fake = bench.gateway.batch_jobs["north-1"]
    fake.status, fake.results = "finished", {"a.tif": b"12345"}
    bench.gateway.fail_next("get_results", BackendAnswerError("too short"), times=2)
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.PENDING
    bench.round(61)
    bench.round(61)
    assert bench.job().results_status is ResultsStatus.PENDING
    bench.round(61)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    assert (bench.folder / "job_north-1" / "a.tif").read_bytes() == b"12345"


def test_results_that_cannot_be_fetched_are_given_up_until_the_next_run(bench: Bench) -> None:
    fake = bench.gateway.batch_jobs["north-1"]
    fake.status, fake.results = "finished", {"a.tif": b"12345"}
    bench.gateway.fail_next("get_results", BackendAnswerError("too short"), times=5)
    for _ in range(8):
        bench.round(10_000)
    assert bench.job().results_status is ResultsStatus.FAILED
    assert bench.count("get_results") == 5
    bench.restart()
    bench.round()
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_what_was_on_disk_and_is_not_any_more_is_fetched_again(bench: Bench) -> None:
    from openeo_jobs.tracking import downloader

    fake = bench.gateway.batch_jobs["north-1"]
    fake.status, fake.results = "finished", {"a.tif": b"12345"}
    bench.round(60)
    path = bench.folder / "job_north-1" / "a.tif"
    bench.restart()
    downloader.check_files(bench.run)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    path.write_bytes(b"123")
    downloader.check_files(bench.run)
    bench.round()
    assert path.read_bytes() == b"12345"


def test_the_reason_of_a_failed_batch_job_is_the_last_error_of_its_logs(bench: Bench) -> None:
    fake = bench.gateway.batch_jobs["north-1"]
    fake.status = "error"
    fake.error_logs = [
        {"id": "1", "level": "error", "message": "first"},
        {"id": "2", "message": "row 17 is bad"},
    ]
    bench.round(60)
    failure = bench.job().attempt.failure
    assert (failure.error_class, failure.message, failure.key) == (
        "remote error",
        "row 17 is bad",
        "row * is bad",
    )
    assert bench.run.user_code.error_log_path(bench.job()).exists()


def test_a_batch_job_without_an_error_in_its_logs_failed_of_their_last_line(bench: Bench) -> None:
    fake = bench.gateway.batch_jobs["north-1"]
    fake.status, fake.last_log_line = "error", "Task 3 in stage 12.0 failed 4 times"
    bench.round(60)
    failure = bench.job().attempt.failure
    assert failure.message == "(no error in the logs; last line: Task 3 in stage 12.0 failed 4 times)"
    assert failure.key == "(no error in the logs; last line: Task * in stage * failed * times)"
    assert not bench.run.user_code.error_log_path(bench.job()).exists()


def test_hooks_are_called_once_and_again_after_a_crash(bench: Bench) -> None:
    calls = []

    def die(*_, **__):
        raise Crash

    bench.hooks = {JobStatus.FINISHED: lambda job: calls.append(job.status)}
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.store.hooks.record_returned = die
    with pytest.raises(Crash):
        bench.round(60)
    bench.restart()
    for _ in range(3):
        bench.round(60)
    assert calls == ["finished", "finished"]
    assert bench.job().results_status is ResultsStatus.NOT_WANTED


def test_a_login_that_is_dead_is_made_anew_and_told_once(bench: Bench, caplog) -> None:
    connects = []
    connect = bench.connect
    bench.connect = lambda name: connects.append(name) or connect(name)
    bench.gateway.fail_next("get_batch_job", BackendRefusedError("token expired", http_status=401), times=3)
    bench.round(60)
    bench.round(60)
    for _ in range(6):
        bench.round(301)
    assert bench.status() is JobStatus.QUEUED
    assert connects == ["north"] * 3
    assert sum("north paused: token expired" in record.getMessage() for record in caplog.records) == 1


def test_a_backend_that_cannot_be_connected_to_is_tried_again_and_told_once(tmp_path: Path, caplog) -> None:
    bench = Bench(tmp_path)
    bench.refusal = OSError("no such host")
    for _ in range(5):
        bench.round(1000)
    assert bench.status() is JobStatus.NOT_STARTED
    (backend,) = bench.store.backends.all()
    assert backend.paused_reason == "cannot connect: OSError: no such host"
    assert backend.paused_remedy == "openeo-auth oidc-auth north"
    assert sum("north paused" in record.getMessage() for record in caplog.records) == 1
    bench.refusal = None
    bench.round(1000)
    assert bench.status() is JobStatus.QUEUED_FOR_START
