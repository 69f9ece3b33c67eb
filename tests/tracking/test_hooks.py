"""Hooks on a run with a clock of its own: when they are called, how often, and with what."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from bench import Bench

from openeo_jobs.jobs import Job
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A campaign of one row, of which the batch job is under way."""
    bench = Bench(tmp_path)
    bench.round()
    return bench


def raise_full(job: Job) -> None:
    raise RuntimeError("disk full")


def finish_all(bench: Bench) -> None:
    for batch_job in bench.gateway.batch_jobs.values():
        batch_job.status = JobStatus.FINISHED


def cancel_with(bench: Bench, hook) -> None:
    bench.hooks = {JobStatus.CANCELED: hook}
    bench.gateway.batch_jobs["north-1"].status = "canceled"
    bench.round(60)


def test_a_hook_that_raises_is_called_three_times_with_longer_waits_then_has_failed(bench: Bench) -> None:
    called_at = []

    def hook(job: Job) -> None:
        called_at.append(bench.now)
        raise_full(job)

    cancel_with(bench, hook)
    assert loop.work_left(bench.run)
    for _ in range(60):
        bench.round(10)
    waits = [(later - sooner).total_seconds() for sooner, later in pairwise(called_at)]
    assert waits == [60, 120]
    attempt = bench.job().attempt
    assert (attempt.hook_tries, attempt.hook_error) == (3, "RuntimeError: disk full")
    assert bench.run.stats["hook error"] == 3
    assert not loop.work_left(bench.run)


def test_tries_are_counted_across_crashes(bench: Bench) -> None:
    cancel_with(bench, raise_full)
    for _ in range(2):
        bench.restart()
        bench.round(600)
    for _ in range(3):
        bench.round(600)
    assert len(bench.hook_calls) == 3


def test_the_next_run_calls_a_hook_that_has_failed_as_often_as_the_first(bench: Bench) -> None:
    cancel_with(bench, raise_full)
    for _ in range(4):
        bench.round(600)
    bench.restart()
    for _ in range(4):
        bench.round(600)
    assert len(bench.hook_calls) == 6


def test_a_hook_that_has_failed_is_called_again_by_the_same_run_once_a_user_asks(bench: Bench) -> None:
    cancel_with(bench, raise_full)
    for _ in range(4):
        bench.round(600)
    bench.hooks[JobStatus.CANCELED] = lambda job: None
    assert [job.number for job in bench.store.hooks.failed()] == [1]
    bench.store.hooks.retry(bench.store.hooks.failed())
    assert loop.work_left(bench.run)
    bench.round(0)
    attempt = bench.job().attempt
    assert (attempt.hook_returned_at, attempt.hook_error, attempt.hook_tries) == (bench.now, None, 0)
    assert len(bench.hook_calls) == 4


def test_a_hook_that_leaves_its_thread_has_raised(bench: Bench) -> None:
    def leave(job: Job) -> None:
        raise SystemExit("enough")

    cancel_with(bench, leave)
    assert bench.job().attempt.hook_error == "SystemExit: enough"


def test_a_hook_that_takes_long_holds_up_no_round(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, cap=1)
    goes_on, threads = threading.Event(), []

    def hook(job: Job) -> None:
        threads.append(threading.current_thread())
        assert goes_on.wait(30)

    bench.hooks = {JobStatus.FINISHED: hook}
    loop.do_one_round(bench.run)
    bench.gateway.batch_jobs["north-1"].status = "finished"
    for _ in range(2):
        loop.do_one_round(bench.run)
    assert bench.status(2) is JobStatus.QUEUED
    bench.gateway.batch_jobs["north-2"].status = "running"
    loop.do_one_round(bench.run)
    assert bench.status(2) is JobStatus.RUNNING
    assert bench.job(1).attempt.hook_returned_at is None
    goes_on.set()
    loop.drain(bench.run, 5)
    assert bench.job(1).attempt.hook_returned_at is not None
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("workers", [1, 3])
def test_so_many_hooks_run_at_a_time_as_there_are_workers(tmp_path: Path, workers: int) -> None:
    bench = Bench(tmp_path, rows=6, cap=6, hook_workers=workers)
    lock, full, inside, most = threading.Lock(), threading.Barrier(workers, timeout=30), [0], [0]

    def hook(job: Job) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        full.wait()
        threading.Event().wait(0.05)  # in which one too many would come in
        with lock:
            inside[0] -= 1

    bench.hooks = {JobStatus.FINISHED: hook}
    bench.round()
    finish_all(bench)
    bench.round(60)
    assert most == [workers]
    assert sorted(number for number, _ in bench.hook_calls) == [1, 2, 3, 4, 5, 6]


def test_a_hook_gets_its_row_as_it_is_when_its_turn_comes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2)
    seen = []

    def hook(job: Job) -> None:
        seen.append(job.attempt and job.attempt.costs)
        with closing(sqlite3.connect(bench.store.path)) as connection, connection:
            connection.execute("UPDATE attempt SET costs = ?", (job.number,))

    bench.hooks = {JobStatus.FINISHED: hook}
    bench.round()
    finish_all(bench)
    bench.round(60)
    assert seen == [None, 1.0]


def test_a_hook_that_waits_for_its_turn_is_not_called_once_the_run_is_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=3)
    bench.hooks = {JobStatus.FINISHED: lambda job: bench.run.stop()}
    bench.round()
    finish_all(bench)
    bench.round(60)
    assert len(bench.hook_calls) == 1


def test_the_hook_of_an_end_that_was_corrected_waits_for_nothing(bench: Bench) -> None:
    cancel_with(bench, raise_full)
    bench.hooks[JobStatus.FINISHED] = lambda job: None
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.restart()
    for _ in range(3):
        bench.round(1)
    attempt = bench.job().attempt
    assert bench.hook_calls == [(1, JobStatus.CANCELED), (1, JobStatus.FINISHED)]
    assert (attempt.hook_tries, attempt.hook_error) == (0, None)
