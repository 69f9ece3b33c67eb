"""Which processes count as alive, by what this one can see of them and of the database."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openeo_jobs.jobs import Runner
from openeo_jobs.storage.store import open_store, open_store_for_run
from openeo_jobs.tracking.listening import Listener
from openeo_jobs.tracking.presence import Clock
from openeo_jobs.tracking.runner import (
    _process_started_at,
    describe_runner,
    find_alive,
    make_hasty_judge,
    make_judge,
    running,
)

AT = datetime(2024, 1, 31, 12, tzinfo=UTC)
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


def never_silent(_runner: Runner) -> timedelta:
    return timedelta(0)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Let another process live, and end it at the end."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def runner_of(process: subprocess.Popen[bytes]) -> Runner:
    started = _process_started_at(process.pid)
    assert started is not None
    return replace(describe_runner(at=AT), pid=process.pid, process_started_at=started)


def hide(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    """Let a process be in /proc for nobody, as where that is mounted with hidepid=2."""
    read = Path.read_text

    def read_what_is_shown(path: Path, *args: str | None) -> str:
        if str(path).startswith(f"/proc/{pid}/"):
            raise FileNotFoundError(path)
        return read(path, *args)

    monkeypatch.setattr(Path, "read_text", read_what_is_shown)


def refuse_to_tell(pid: int, signal: int) -> None:
    raise PermissionError(pid, signal)


@on_linux
@pytest.mark.parametrize("kill", [os.kill, refuse_to_tell])
def test_a_process_that_is_hidden_is_not_proved_dead(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, kill: Callable[[int, int], None]
) -> None:
    runner = runner_of(process)
    hide(monkeypatch, process.pid)
    monkeypatch.setattr("openeo_jobs.tracking.runner.os.kill", kill)
    assert not make_judge(never_silent)(runner)
    assert make_judge(lambda one: one.lease * 1.1)(runner)


@on_linux
def test_a_process_that_is_gone_is_proved_dead_at_once(process: subprocess.Popen[bytes]) -> None:
    runner = runner_of(process)
    assert not make_judge(never_silent)(runner)
    process.kill()
    process.wait()
    assert make_judge(never_silent)(runner)


@on_linux
def test_a_process_that_does_not_find_itself_proves_nothing_by_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hide(monkeypatch, os.getpid())
    runner = describe_runner(at=AT)
    assert runner.process_started_at == ""
    monkeypatch.undo()
    assert not make_judge(never_silent)(runner)


@pytest.mark.parametrize(("lease", "is_alive"), [(120, False), (600, True)])
def test_who_looks_once_gives_a_runner_its_own_lease(lease: float, is_alive: bool) -> None:
    elsewhere = replace(describe_runner(at=AT), boot_id="elsewhere", lease=timedelta(seconds=lease))
    at = AT + timedelta(seconds=149)
    assert find_alive([elsewhere], now=lambda: at) == ([elsewhere] if is_alive else [])


def test_a_runner_stores_its_lease(tmp_path: Path) -> None:
    path, lease = tmp_path / "jobs.sqlite", timedelta(seconds=0.75)
    clock = Clock(now, lease=lease)
    hasty = make_hasty_judge(now)
    with (
        open_store_for_run(path, is_dead=hasty) as store,
        running(store, is_dead=hasty, listener=Listener(), clock=clock, lease=lease),
        open_store(path) as other,
    ):
        (runner,) = other.runners.open()
    assert runner.lease == lease


def test_a_file_that_a_third_program_holds_for_longer_than_a_lease_makes_nobody_dead(tmp_path: Path) -> None:
    path, lease, listener = tmp_path / "jobs.sqlite", timedelta(seconds=1), Listener()
    judge, clock = make_judge(listener.silence_of), Clock(now, lease=lease)
    with (
        open_store_for_run(path, is_dead=judge) as one,
        open_store_for_run(path, is_dead=judge) as other,
        running(other, is_dead=judge, listener=listener, clock=clock, lease=lease) as presence,
        closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as third,
    ):
        runner = replace(describe_runner(at=now()), lease=lease)
        one.runners.begin(runner, is_dead=lambda _: False, at=now())
        assert presence.record_round()
        third.execute("BEGIN IMMEDIATE")
        assert not any(map(judge, other.runners.open()))
        time.sleep(2.5)
        third.execute("ROLLBACK")
        for _ in range(10):  # before the one that waits to beat gets its turn
            assert presence.record_round()
            assert other.runners.bury(presence.runner_id, is_dead=judge, at=now()) == []
        time.sleep(1)
        assert presence.record_round()
        assert other.runners.bury(presence.runner_id, is_dead=judge, at=now()) != []
