"""A campaign that is interrupted in the middle, by Ctrl-C or by kill -9, and started again."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import interruptible
import pytest

from campaigning import query
from openeo_jobs.simulator import Simulator

pytestmark = [
    pytest.mark.wheel,
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
]


def begin(folder: Path, north: Simulator, south: Simulator, *options: str) -> subprocess.Popen[str]:
    tests = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, tests / "interruptible.py", folder, north.url, south.url, *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(condition, process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


def count_finished(folder: Path) -> int:
    database = folder / "jobs.sqlite"
    if not database.exists():
        return 0
    return query(database, "SELECT count(*) FROM job WHERE status = 'finished'")[0][0]


def run_to_the_end(folder: Path, north: Simulator, south: Simulator, *options: str) -> str:
    process = begin(folder, north, south, *options)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    return output


def check(folder: Path, north: Simulator, south: Simulator) -> None:
    """Nothing lost, none stuck, nothing started twice, no result missing; by the simulators' own truth."""
    database = folder / "jobs.sqlite"
    assert query(database, "SELECT status, results_status, count(*) FROM jobs GROUP BY 1, 2") == [
        ("finished", "downloaded", interruptible.ROWS)
    ]
    executions: Counter[int | str] = Counter()
    for backend in (north, south):
        executions.update(backend.truth().executions_per_row)
    assert executions == dict.fromkeys(range(1, interruptible.ROWS + 1), 1)
    chosen = {batch_job_id for (batch_job_id,) in query(database, "SELECT id FROM jobs")}
    for backend in (north, south):
        for one in backend.truth().batch_jobs:
            assert one.id in chosen or one.starts == 0, f"{one.id} was started, and is not in the database"
    for batch_job_id in chosen:
        results = folder / "results" / f"job_{batch_job_id}"
        for name, asset in json.loads((results / "job-results.json").read_text())["assets"].items():
            assert (results / name).stat().st_size == asset["file:size"]
    assert query(database, "PRAGMA integrity_check") == [("ok",)]
    assert query(database, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_ends_the_run_in_order_and_the_next_one_goes_on(tmp_path, north, south, number) -> None:
    process = begin(tmp_path, north, south)
    wait_until(lambda: count_finished(tmp_path) >= 10, process)
    process.send_signal(number)
    output = process.communicate(timeout=30)[0]
    assert process.returncode != 0
    assert "all done" not in output
    assert "Go on with: cd " in output
    assert "interruptible.py" in output
    assert 10 <= count_finished(tmp_path) < interruptible.ROWS
    open_creations = query(
        tmp_path / "jobs.sqlite", "SELECT count(*) FROM batch_job WHERE outcome = 'unknown'"
    )
    assert open_creations == [(0,)]
    assert query(tmp_path / "jobs.sqlite", "SELECT count(*) FROM runner WHERE ended_at IS NULL") == [(0,)]

    run_to_the_end(tmp_path, north, south)
    check(tmp_path, north, south)


@pytest.mark.thorough
def test_a_second_signal_leaves_now(tmp_path, north, south) -> None:
    process = begin(tmp_path, north, south, "--slow")
    assert process.stdout is not None
    wait_until(lambda: count_finished(tmp_path) >= 0 and "in start_job" in process.stdout.readline(), process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - began < 2.5
    assert process.returncode != 0

    run_to_the_end(tmp_path, north, south)
    check(tmp_path, north, south)


def test_a_campaign_that_is_killed_again_and_again_goes_on(tmp_path, north, south) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for goal in (5, 30):
        process = begin(tmp_path, north, south)
        wait_until(lambda goal=goal: count_finished(tmp_path) >= goal, process)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.communicate(timeout=30)
        assert query(tmp_path / "jobs.sqlite", "PRAGMA integrity_check") == [("ok",)]
    run_to_the_end(tmp_path, north, south)
    check(tmp_path, north, south)


@pytest.mark.thorough
def test_two_runs_share_the_rows_and_both_end(tmp_path, north, south) -> None:
    first = begin(tmp_path, north, south)
    wait_until(lambda: count_finished(tmp_path) >= 1, first)
    second = begin(tmp_path, north, south)
    for process in (first, second):
        output = process.communicate(timeout=120)[0]
        assert output.endswith("all done\n"), output
    check(tmp_path, north, south)
    owners = query(tmp_path / "jobs.sqlite", "SELECT DISTINCT owner_id FROM job ORDER BY 1")
    assert owners == [(1,), (2,)]
    assert north.truth().peak_parallel <= 4
    assert south.truth().peak_parallel <= 3


@pytest.mark.thorough
def test_two_processes_that_begin_a_new_campaign_at_one_moment_share_it(tmp_path, north, south) -> None:
    both = [begin(tmp_path, north, south, "--wait") for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    assert not (tmp_path / "jobs.sqlite").exists()
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        output = process.communicate(timeout=120)[0]
        assert output.endswith("all done\n"), output
    check(tmp_path, north, south)
    assert query(tmp_path / "jobs.sqlite", "SELECT count(*) FROM campaign") == [(1,)]
    assert count_owned(tmp_path, 1) > 0
    assert count_owned(tmp_path, 2) > 0


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_which_other_one_the_campaign_goes_on_in(
    tmp_path, north, south, number
) -> None:
    first = begin(tmp_path, north, south)
    wait_until(lambda: count_finished(tmp_path) >= 1, first)
    second = begin(tmp_path, north, south)
    wait_until(lambda: count_owned(tmp_path, 2) >= 1, second)
    first.send_signal(number)
    output = first.communicate(timeout=60)[0]
    assert "all done" not in output
    assert re.search(rf"The campaign goes on in \S.*interruptible\.py .*\(pid {second.pid} on ", output), (
        output
    )
    assert "Nothing runs this campaign now" not in output
    output = second.communicate(timeout=120)[0]
    assert output.endswith("all done\n"), output
    check(tmp_path, north, south)


@pytest.mark.thorough
def test_a_run_that_is_killed_leaves_its_rows_to_the_other(tmp_path, north, south) -> None:
    first = begin(tmp_path, north, south)
    wait_until(lambda: count_finished(tmp_path) >= 1, first)
    second = begin(tmp_path, north, south)
    wait_until(lambda: count_owned(tmp_path, 2) >= 3, second)
    first.kill()
    output = second.communicate(timeout=120)[0]
    first.communicate()
    assert output.endswith("all done\n"), output
    check(tmp_path, north, south)
    assert f"(pid {first.pid} on " in output and "is not there any more" in output


def count_owned(folder: Path, runner_id: int) -> int:
    return query(folder / "jobs.sqlite", "SELECT count(*) FROM job WHERE owner_id = ?", runner_id)[0][0]
