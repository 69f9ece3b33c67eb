"""What arrives late, or is somebody else's, changes nothing: ends that are corrected, accounts, commands."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, make_runner, refuse

from openeo_jobs.errors import (
    BackendAnswerError,
    BackendRefusedError,
    BackendUnavailableError,
    DatabaseUnavailableError,
)
from openeo_jobs.jobs import ResultsStatus
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.tracking import downloader, loop, poller

BROKEN = BackendAnswerError("cut short")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A campaign of one row, of which the batch job is under way."""
    bench = Bench(tmp_path)
    bench.gateway.account = "ann"
    bench.round()
    return bench


def end(bench: Bench, word: str) -> None:
    bench.gateway.batch_jobs["north-1"].status = word


def correct(bench: Bench, word: str) -> None:
    """Let the backend say, in the middle of a round, that it has ended otherwise."""
    end(bench, word)
    poller.ask_again(bench.run, [bench.job()])
    while "poll" in bench.run.pool.kinds_under_way():
        loop.record(bench.run, bench.run.pool.collect(5))


def query(bench: Bench, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(bench.store.path)) as connection:
        return connection.execute(sql).fetchall()


def hold_fetches(bench: Bench, gate: threading.Event, *, names: tuple[str, ...] = ()) -> threading.Event:
    """Let fetches of files, or of those *names*, wait for *gate*, and fail; return when the first waits."""
    fetch, has_begun = bench.gateway.fetch, threading.Event()

    def fetch_late(offer: Any, *rest: Any) -> Any:
        if gate.is_set() or (names and offer.name not in names):
            return fetch(offer, *rest)
        has_begun.set()
        gate.wait(20)
        raise BROKEN

    bench.gateway.fetch = fetch_late  # type: ignore[method-assign]
    return has_begun


def test_the_return_of_the_hook_of_one_end_is_not_that_of_another(bench: Bench) -> None:
    gate, has_begun = threading.Event(), threading.Event()
    bench.hooks = {
        JobStatus.FINISHED: lambda job: (has_begun.set(), gate.wait(20)),
        JobStatus.ERROR: lambda job: None,
    }
    end(bench, "finished")
    bench.now += timedelta(seconds=60)
    loop.do_one_round(bench.run)
    assert has_begun.wait(20)
    correct(bench, "error")
    gate.set()
    for _ in range(3):
        bench.round(60)
    assert bench.hook_calls == [(1, JobStatus.FINISHED), (1, JobStatus.ERROR)]
    assert bench.job().attempt.failure is not None


@pytest.mark.parametrize("word", ["canceled", "error"])
def test_files_that_arrive_after_the_end_was_corrected_change_nothing(bench: Bench, word: str) -> None:
    gate = threading.Event()
    has_begun = hold_fetches(bench, gate)
    end(bench, "finished")
    bench.now += timedelta(seconds=60)
    loop.do_one_round(bench.run)
    while not has_begun.is_set():
        loop.record(bench.run, bench.run.pool.collect(1))
    correct(bench, word)
    gate.set()
    for _ in range(3):
        bench.round(60)
    job = bench.job()
    assert (job.status, job.results_status) == (word, None)
    assert job.attempt.hook_returned_at is not None
    assert not loop.work_left(bench.run)


def test_a_file_on_its_way_for_a_transfer_that_was_forgotten_still_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()
        raise DatabaseUnavailableError("disk I/O error")

    gate = threading.Event()
    hold_fetches(bench, gate, names=("b.tif",))
    end(bench, "finished")
    bench.gateway.batch_jobs["north-1"].results = {"a.tif": b"a", "b.tif": b"b"}
    monkeypatch.setattr(bench.store.assets, "record_fetched", fail)
    bench.now += timedelta(seconds=60)
    with pytest.raises(DatabaseUnavailableError):
        loop.do_one_round(bench.run)
        loop.drain(bench.run, 20)
    loop.do_one_round(bench.run)
    loop.drain(bench.run, 0.5)
    gate.set()
    for _ in range(4):
        bench.round(600)
        done = bench.job().results_status is ResultsStatus.DOWNLOADED
        assert done is (query(bench, "SELECT DISTINCT state FROM assets") == [("downloaded",)])
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_a_file_whose_arrival_was_not_stored_is_fetched_again_before_its_row_is_complete(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(*args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()

    monkeypatch.setattr(bench.store.assets, "record_fetched", forget)
    end(bench, "finished")
    bench.round(60)
    for _ in range(2):
        bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    assert query(bench, "SELECT DISTINCT state FROM assets") == [("downloaded",)]


def test_a_row_reads_as_downloaded_only_with_all_its_files(bench: Bench, tmp_path: Path) -> None:
    end(bench, "finished")
    bench.round(60)
    with closing(sqlite3.connect(bench.store.path)) as connection, connection:
        connection.execute("UPDATE asset SET state = 'failed'")
    downloader.check_files(bench.run)
    assert bench.job().results_status is ResultsStatus.PENDING


def test_a_failure_goes_with_the_end_that_it_explained(bench: Bench) -> None:
    fake = bench.gateway.batch_jobs["north-1"]
    fake.costs, fake.error_logs = 5.0, [{"message": "boom"}]
    end(bench, "error")
    bench.round(60)
    assert bench.job().attempt.failure.message == "boom"
    correct(bench, "finished")
    bench.round(60)
    assert bench.job().attempt.failure is None
    assert query(bench, "SELECT costs, costs_of_failed_attempts FROM costs") == [(5.0, None)]


def test_what_a_stale_run_saw_does_not_replace_what_is_known(bench: Bench) -> None:
    end(bench, "running")
    bench.round(60)
    stale = bench.job()
    bench.restart()
    bench.gateway.batch_jobs["north-1"].costs = 5.0
    bench.round(60)
    late = Step(job=stale, status=JobStatus.RUNNING, word="running", costs=2.0)
    assert bench.store.progress.record([late], at=bench.now) == [stale]
    assert bench.job().attempt.costs == 5.0


class TestCosts:
    def test_another_account_does_not_use_up_the_questions(self, bench: Bench) -> None:
        end(bench, "finished")
        bench.round(60)
        ann, bob = bench.gateway, bench.gateway.log_in_as("bob")
        bench.gateways["north"] = bob
        bench.restart()
        for seconds in (60, 90_000, 60):
            bench.round(seconds)
        ann.batch_jobs["north-1"].costs = 7.0
        bench.gateways["north"] = ann
        bench.restart()
        bench.round(60)
        bench.round(60)
        assert bench.job().attempt.costs == 7.0

    def test_a_backend_that_is_away_does_not_either(self, bench: Bench) -> None:
        end(bench, "finished")
        bench.round(60)
        bench.restart()
        bench.gateway.fail_next("get_batch_job", BackendUnavailableError("no answer in time"))
        bench.round(2 * 86_400)
        bench.gateway.batch_jobs["north-1"].costs = 7.0
        bench.round(36_000)
        bench.round(36_000)
        assert bench.job().attempt.costs == 7.0


def test_files_that_another_account_has_elsewhere_are_not_missed(bench: Bench) -> None:
    end(bench, "finished")
    bench.round(60)
    shutil.rmtree(bench.folder / "job_north-1")
    bench.gateways["north"] = bench.gateway.log_in_as("bob")
    bench.restart()
    bench.round()
    downloader.check_files(bench.run)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_a_command_that_only_fetches_closes_no_fuse(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=30)
    bench.script = refuse(BackendRefusedError("no such process", http_status=400))
    for _ in range(4):
        bench.round(1)
    failed = len(bench.store.jobs.of_status([JobStatus.START_FAILED]))
    assert failed >= 10
    bench.now += timedelta(seconds=1)
    bench.store.runners.begin(make_runner(77, at=bench.now), is_dead=lambda _: False, at=bench.now)
    for _ in range(3):
        bench.round(2)
    assert len(bench.store.jobs.of_status([JobStatus.START_FAILED])) == failed
