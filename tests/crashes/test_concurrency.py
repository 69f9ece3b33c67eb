"""Several processes on one campaign, one of them suspended past its lease, by the simulator's truth."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from zygote import Order, Process

from campaigning import query
from every_write import WRITES
from openeo_jobs.simulator import Simulator

REFUSED = re.compile(r"row \d+ (?:is no longer as it was read|has moved)")
CAP = 12
SETTINGS = {"poll_sleep": 0.1, "grace": 0.5, "lost_after": 1800, "lease": 3}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("processes", "rows"), [(3, 40), pytest.param(6, 3000, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_processes_share_a_campaign_though_one_was_suspended_past_its_lease(
    folder: Path,
    address: str,
    make_simulator: Callable[..., Simulator],
    processes: int,
    rows: int,
) -> None:
    north = make_simulator(folder / "north", name="north", seed=1, run_seconds=(0.3, 1.0))
    order = Order(folder=str(folder), url=north.url, rows=rows, parallel_jobs=CAP, settings=SETTINGS)
    with ExitStack() as stack:
        suspended = stack.enter_context(Process(address, replace(order, is_stalled=True)))
        others = [stack.enter_context(Process(address, order)) for _ in range(processes - 1)]
        wait_until(lambda: is_suspended_with_a_row(folder, suspended))
        wait_until(lambda: is_replaced(folder, suspended))
        (folder / "go-on").touch()
        os.kill(suspended.pid, signal.SIGCONT)
        lives = [process.wait(100 + rows / 3) for process in (suspended, *others)]
    log = (folder / "log.txt").read_text()

    assert [(life.was_killed, life.error) for life in lives] == [(False, None)] * processes
    assert "locked" not in log
    assert "was held by" not in log
    assert f"{suspended.pid} this run was taken for dead" in log
    assert REFUSED.search(log)  # the row in whose `start_job` it was suspended
    check_stale_writes(lives[0].points)
    check_truth(folder, north, rows)
    check_claims(folder)


def check_stale_writes(notes: list[str]) -> None:
    """What the suspended process wanted to write of rows that it had lost was refused, all of it.

    At least of the row in whose `start_job` it was suspended that is every kind of write, and its intent.
    """
    kinds = Counter(note.partition(" of row ")[0] for note in notes)
    refused = sum(number for kind, number in kinds.items() if kind.startswith("refused "))
    print(f"{len(notes)} stale writes of {len(kinds)} kinds, {refused} refused")
    assert [kind for kind in kinds if not kind.startswith("refused ")] == []
    assert len(kinds) >= len(WRITES)


def is_suspended_with_a_row(folder: Path, process: Process) -> bool:
    """Say whether a process is suspended that has a row in `start_job`, and does not hold the file.

    One that holds it (its heartbeat may) goes on for a moment.
    """
    if psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        return False
    if not can_be_written(folder / "jobs.sqlite"):
        os.kill(process.pid, signal.SIGCONT)
        return False
    assert count_owned(folder, process.pid) >= 1
    return True


def count_owned(folder: Path, pid: int) -> int:
    select = (
        "SELECT count(*) FROM job JOIN runner ON runner.id = owner_id"
        " WHERE pid = ? AND status IN ('submitting', 'queued_for_start', 'queued', 'running')"
    )
    return int(query(folder / "jobs.sqlite", select, pid)[0][0])


def can_be_written(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")  # no reader has stopped in the middle, either
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def is_replaced(folder: Path, process: Process) -> bool:
    """Say whether a process was taken for dead, and others own the rows that it had under way."""
    select = "SELECT count(*) FROM runner WHERE pid = ? AND ended_at IS NULL"
    has_ended = query(folder / "jobs.sqlite", select, process.pid) == [(0,)]
    return has_ended and count_owned(folder, process.pid) == 0


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def check_truth(folder: Path, north: Simulator, rows: int) -> None:
    """No row was claimed or run twice, none is missing, and no cap was exceeded."""
    truth, database = north.truth(), folder / "jobs.sqlite"
    assert truth.executions_per_row == dict.fromkeys(range(1, rows + 1), 1)
    assert truth.peak_parallel <= CAP
    chosen = {one for (one,) in query(database, "SELECT id FROM jobs")}
    assert [one.id for one in truth.batch_jobs if one.id not in chosen] == []  # what was refused never left
    assert query(database, "SELECT status, results_status, count(*) FROM jobs GROUP BY 1, 2") == [
        ("finished", "downloaded", rows)
    ]
    assert (folder / "jobs.csv").read_text().count(",finished,") == rows
    assert not list(folder.glob("jobs.csv.edited*"))
    assert query(database, "PRAGMA integrity_check") == [("ok",)]
    assert query(database, "PRAGMA foreign_key_check") == []


def check_claims(folder: Path) -> None:
    """No attempt was claimed or brought to its end twice."""
    twice = query(
        folder / "jobs.sqlite",
        "SELECT job_id, attempt_id, new, count(*) FROM status_change WHERE new IN ('submitting', 'finished')"
        " GROUP BY 1, 2, 3 HAVING count(*) > 1",
    )
    assert twice == []
