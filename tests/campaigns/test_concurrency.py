"""Several processes on one campaign, one of them suspended past its lease, by the simulator's truth."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from campaigning import query
from openeo_jobs.simulator import Simulator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="suspends processes by POSIX signals")

REFUSED = re.compile(r"row \d+ (?:is no longer as it was read|has moved)")
CAP = 12


@pytest.mark.parametrize(
    ("processes", "rows"), [(3, 40), pytest.param(6, 3000, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_processes_share_a_campaign_though_one_was_suspended_past_its_lease(
    tmp_path: Path, make_simulator: Callable[..., Simulator], processes: int, rows: int
) -> None:
    north = make_simulator(tmp_path / "north", name="north", seed=1, run_seconds=(0.3, 1.0))
    with ExitStack() as stack:
        running = [stack.enter_context(begin(tmp_path, rows, north, number)) for number in range(processes)]
        stack.callback(lambda: [process.kill() for process in running])
        suspended = running[0]
        wait_until(lambda: is_suspended_with_a_row(tmp_path, suspended))
        wait_until(lambda: is_replaced(tmp_path, suspended))
        (tmp_path / "go-on").touch()
        suspended.send_signal(signal.SIGCONT)
        for process in running:
            assert process.wait(timeout=100 + rows / 3) == 0
    outputs = [(tmp_path / f"output-{number}").read_text() for number in range(processes)]

    assert all(output.endswith("all done\n") for output in outputs), outputs
    assert not [output for output in outputs if "locked" in output or "was held by" in output]
    assert "this run was taken for dead" in outputs[0]
    assert len(REFUSED.findall(outputs[0])) >= 1  # of the row in whose `start_job` it was suspended
    check_truth(tmp_path, north, rows)
    check_claims(tmp_path)


def begin(folder: Path, rows: int, north: Simulator, number: int) -> subprocess.Popen[bytes]:
    """Begin a process; the first one suspends itself while it creates its third batch job."""
    tests, options = Path(__file__).parent, ["--stall"] if number == 0 else []
    with (folder / f"output-{number}").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, tests / "sharing.py", folder, str(rows), "3", str(CAP), north.url, *options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def is_suspended_with_a_row(folder: Path, process: subprocess.Popen[bytes]) -> bool:
    """Say whether a process is suspended that has a row in `start_job`, and does not hold the file.

    One that holds it (its heartbeat may) goes on for a moment.
    """
    if psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        return False
    if not can_be_written(folder / "jobs.sqlite"):
        process.send_signal(signal.SIGCONT)
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


def is_replaced(folder: Path, process: subprocess.Popen[bytes]) -> bool:
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
