"""A backend that is silent, or a login that takes its time, costs the other backends nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from bench import NO_ANSWER, Bench, create, never_arrive

from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.status import JobStatus
from openeo_jobs.testing import FakeGateway
from openeo_jobs.tracking import loop


class SilentGateway(FakeGateway):
    """Answers nothing until it is woken, and then with `error`, if there is one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.awake = threading.Event()
        self.awake.set()
        self.error: Exception | None = None

    def get_batch_job(self, batch_job_id: str):
        self.wait()
        return super().get_batch_job(batch_job_id)

    def list_batch_jobs(self):
        self.wait()
        return super().list_batch_jobs()

    def wait(self) -> None:
        assert self.awake.wait(30)
        if self.error is not None:
            raise self.error


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """North is silent, with two batch jobs; south is quick."""
    bench = Bench(
        tmp_path, rows=12, cap=2, backends=("north", "south"), patience=0.2, downloads_results=False
    )
    silent = SilentGateway("north")
    bench.gateways["north"] = bench.gateway = silent
    bench.round()
    bench.round(60)
    silent.awake.clear()
    yield bench
    silent.awake.set()


def measure(bench: Bench, seconds: float = 60, *, patience: float = 0.2) -> float:
    """Do one round, and return how long it took."""
    bench.now += timedelta(seconds=seconds)
    bench.run.settings = replace(bench.run.settings, patience=timedelta(seconds=patience))
    began = time.monotonic()
    loop.do_one_round(bench.run)
    return time.monotonic() - began


def finish(bench: Bench, name: str) -> None:
    for one in bench.gateways[name].batch_jobs.values():
        one.status = "finished"


def wait_for_answers(bench: Bench) -> None:
    """Record what comes, as a run does while it sleeps."""
    bench.gateway.awake.set()
    loop.drain(bench.run, 5)


def test_it_is_waited_for_once_and_then_no_more(bench: Bench) -> None:
    assert measure(bench) >= 0.2
    assert max(measure(bench, patience=20) for _ in range(3)) < 10


def test_the_others_are_polled_and_get_work_in_every_round_and_it_gets_none(bench: Bench) -> None:
    bench.run.caps = {"north": 8, "south": 2}
    created = []
    for _ in range(3):
        finish(bench, "south")
        measure(bench)
        created.append([len(gateway.batch_jobs) for gateway in bench.gateways.values()])
    assert created == [[2, 4], [2, 6], [2, 8]]


def test_an_answer_that_comes_later_counts_and_the_backend_gets_work_again(bench: Bench) -> None:
    measure(bench)
    finish(bench, "north")
    wait_for_answers(bench)
    assert [bench.status(n) for n in (1, 3)] == [JobStatus.FINISHED] * 2
    measure(bench)
    assert len(bench.gateways["north"].batch_jobs) == 4


def test_a_time_out_is_no_answer_and_pauses_it(bench: Bench) -> None:
    measure(bench)
    bench.gateway.error = NO_ANSWER
    wait_for_answers(bench)
    measure(bench)
    assert bench.store.backends.one("north").paused_reason == "no answer in time"
    assert "north" in bench.run.silent


def test_its_pause_ends_when_it_answers_and_not_when_the_time_is_over(bench: Bench) -> None:
    measure(bench)
    bench.gateway.error = NO_ANSWER
    wait_for_answers(bench)
    measure(bench)
    bench.gateway.error = None
    bench.gateway.awake.clear()
    assert measure(bench, 4000, patience=20) < 10
    assert bench.store.backends.one("north").paused_since is not None
    wait_for_answers(bench)
    measure(bench)
    assert bench.store.backends.one("north").paused_since is None


def test_one_row_without_an_answer_is_not_a_silent_backend(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=12, cap=3, patience=0.2, downloads_results=False)
    woken, get = threading.Event(), bench.gateway.get_batch_job

    def get_batch_job(batch_job_id: str):
        if batch_job_id == "north-1":
            woken.wait(30)
            raise NO_ANSWER
        return get(batch_job_id)

    bench.gateway.get_batch_job = get_batch_job  # type: ignore[method-assign]
    measure(bench)
    assert measure(bench) >= 0.2
    for _ in range(3):
        for one in list(bench.gateway.batch_jobs.values())[1:]:
            one.status = "finished"
        assert measure(bench, patience=20) < 10
    woken.set()
    assert len(bench.gateway.batch_jobs) == 3 + 2 * 3
    assert bench.store.backends.one("north").paused_class is None


def test_start_job_is_called_once_for_a_backend_that_falls_silent_meanwhile(tmp_path: Path) -> None:
    def fall_silent(bench, job, gateway, watcher):
        if gateway.name == "north":
            gateway.create_calls += 1
            return never_arrive(bench, job, gateway, watcher)
        return create(bench, job, gateway, watcher)

    bench = Bench(tmp_path, rows=12, cap=6, backends=("north", "south"), downloads_results=False)
    bench.gateway.create_calls = 0
    bench.script = fall_silent
    bench.round()
    assert bench.gateway.create_calls == 1
    assert len(bench.gateways["south"].batch_jobs) == 6
    assert bench.store.backends.one("north").paused_since is not None


def test_an_error_is_an_answer(bench: Bench) -> None:
    measure(bench)
    bench.gateway.error = BackendUnavailableError("[503] busy", http_status=503)
    wait_for_answers(bench)
    assert "north" not in bench.run.silent


@pytest.fixture
def login(tmp_path: Path) -> Iterator[tuple[Bench, threading.Event]]:
    """The login of north takes until somebody enters a code."""
    bench = Bench(tmp_path, rows=8, cap=2, backends=("north", "south"), patience=0.2)
    entered = threading.Event()
    connect = bench.connect

    def log_in(name: str):
        if name == "north":
            assert entered.wait(30)
        return connect(name)

    bench.connect = log_in  # type: ignore[method-assign]
    yield bench, entered
    entered.set()


def test_a_login_that_takes_long_holds_up_no_other_backend(login: tuple[Bench, threading.Event]) -> None:
    bench, entered = login
    assert measure(bench) >= 0.2
    assert len(bench.gateways["south"].batch_jobs) == 2
    assert measure(bench, patience=20) < 10
    entered.set()
    measure(bench)
    loop.settle(bench.run, frozenset({"connect"}))
    measure(bench)
    assert len(bench.gateways["north"].batch_jobs) == 2


def test_the_sleep_ends_when_a_login_has_succeeded(login: tuple[Bench, threading.Event]) -> None:
    bench, entered = login
    measure(bench)
    threading.Timer(0.05, entered.set).start()
    began = time.monotonic()
    loop._sleep(bench.run, timedelta(seconds=20))
    assert time.monotonic() - began < 10
    assert "north" in bench.run.gateways


def test_a_login_is_not_waited_for_at_the_end(login: tuple[Bench, threading.Event]) -> None:
    bench, _ = login
    measure(bench)
    began = time.monotonic()
    loop.say_farewell(bench.run, patience_seconds=20)
    assert time.monotonic() - began < 10


def test_a_login_that_wants_to_leave_the_program_pauses_its_backend(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def leave(name: str):
        raise SystemExit("no password")

    bench.connect = leave  # type: ignore[method-assign]
    bench.round()
    assert bench.store.backends.one("north").paused_reason == (
        "cannot connect: RuntimeError: SystemExit: no password"
    )


def test_where_there_is_no_other_backend_the_first_round_waits_for_the_login(tmp_path: Path) -> None:
    bench = Bench(tmp_path, patience=0.02)
    entered, connect = threading.Event(), bench.connect

    def log_in(name: str):
        assert entered.wait(30)
        return connect(name)

    bench.connect = log_in  # type: ignore[method-assign]
    threading.Timer(0.2, entered.set).start()
    bench.round()
    assert bench.status() is not JobStatus.NOT_STARTED
