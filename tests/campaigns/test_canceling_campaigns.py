"""A campaign on a simulator, canceled from another process or thread, or where nothing runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import openeo_jobs
from campaigning import connect_to, make_rows, query, start_job
from openeo_jobs.errors import OpenEOJobsError, UsageError
from openeo_jobs.simulator import Answers, Deviations, Lags, Simulator

pytestmark = pytest.mark.wheel

SLOW = {"queue_seconds": (0.0, 0.0), "run_seconds": (600.0, 600.0)}


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def count(database: Path, condition: str) -> int:
    return int(query(database, f"SELECT count(*) FROM jobs WHERE {condition}")[0][0])


def remote_statuses(backend: Simulator) -> list[str]:
    return sorted(one.status for one in backend.truth().batch_jobs)


@pytest.fixture
def slow(make_simulator, tmp_path: Path) -> Simulator:
    return make_simulator(tmp_path / "slow", name="slow", **SLOW)


def begin(make_manager, backend: Simulator, tmp_path: Path, **kwargs):
    """Run six rows in a thread, until two of them run."""
    manager = make_manager(backend, parallel_jobs=2, grace=0.3, **kwargs)
    openeo_jobs.create_job_db(tmp_path / "jobs.csv", make_rows(6))
    handle = manager.start_job_thread(start_job, tmp_path / "jobs.csv")
    database = tmp_path / "jobs.sqlite"
    wait_until(lambda: database.exists() and count(database, "status = 'running'") == 2)
    return manager, handle, database


def test_rows_are_canceled_while_a_process_runs_them(make_manager, slow: Simulator, tmp_path: Path) -> None:
    _, handle, database = begin(make_manager, slow, tmp_path)
    outcome = openeo_jobs.cancel(database, where="tile IN ('T000', 'T005')")
    assert (outcome.canceled, outcome.asked, outcome.is_run) == ((6,), (1,), True)
    wait_until(lambda: count(database, "status = 'canceled'") == 2)
    openeo_jobs.cancel(tmp_path / "jobs.csv", statuses=["running", "created", "queued_for_start", "queued"])
    openeo_jobs.cancel(tmp_path / "jobs.csv", where="1")
    handle.wait(30)
    assert query(database, "SELECT DISTINCT status FROM jobs") == [("canceled",)]
    assert "running" not in remote_statuses(slow)
    assert "queued" not in remote_statuses(slow)
    assert "canceled" in (tmp_path / "jobs.csv").read_text()


def test_where_nothing_runs_it_the_backend_is_asked_at_once(
    make_manager, slow: Simulator, tmp_path: Path
) -> None:
    manager, _, database = begin(make_manager, slow, tmp_path)
    manager.stop_job_thread(30)
    outcome = openeo_jobs.cancel(database, rows=range(1, 7), connections={"slow": connect_to(slow)})
    assert (outcome.canceled, outcome.asked, outcome.is_run) == ((1, 2, 3, 4, 5, 6), (), False)
    assert remote_statuses(slow) == ["canceled", "canceled"]
    again = openeo_jobs.cancel(database, rows=1)
    assert again.left == (1,)


def test_a_request_without_a_connection_is_carried_out_by_the_next_run(
    make_manager, slow: Simulator, tmp_path: Path
) -> None:
    manager, _, database = begin(make_manager, slow, tmp_path)
    manager.stop_job_thread(30)
    assert openeo_jobs.cancel(database, where="1").asked == (1, 2)
    assert remote_statuses(slow) == ["running", "running"]
    make_manager(slow).run_jobs(None, start_job, tmp_path / "jobs.csv")
    assert remote_statuses(slow) == ["canceled", "canceled"]
    assert count(database, "status = 'canceled'") == 6


def test_what_its_backend_refuses_to_cancel_is_told(make_manager, make_simulator, tmp_path: Path) -> None:
    stubborn = make_simulator(
        tmp_path / "stubborn", name="slow", deviations=Deviations(answers=Answers(cancel=405)), **SLOW
    )
    manager, _, database = begin(make_manager, stubborn, tmp_path)
    manager.stop_job_thread(30)
    outcome = openeo_jobs.cancel(database, rows=1, connections={"slow": connect_to(stubborn)})
    assert (outcome.canceled, outcome.asked) == ((), (1,))
    assert "405" in outcome.errors[1]
    assert "405" in query(database, "SELECT cancel_error FROM attempts WHERE job = 1")[0][0]


def test_a_request_that_was_stored_survives_a_kill(slow: Simulator, tmp_path: Path, make_manager) -> None:
    """The run is killed between the request and its next round; the next one cancels."""
    code = (
        "import sys, json; from pathlib import Path; from campaigning import *\n"
        "from openeo_jobs import MultiBackendJobManager\n"
        "m = MultiBackendJobManager(poll_sleep=3, root_dir=Path(sys.argv[1]) / 'results')\n"
        "m.add_backend('slow', connect_to_url(sys.argv[2]), parallel_jobs=2)\n"
        "m.run_jobs(make_rows(3), start_job, Path(sys.argv[1]) / 'jobs.csv')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), slow.url],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stderr=subprocess.DEVNULL,
    )
    database = tmp_path / "jobs.sqlite"
    try:
        wait_until(lambda: database.exists() and count(database, "status = 'running'") == 2, 60)
        assert openeo_jobs.cancel(database, where="1").is_run
    finally:
        process.kill()
        process.wait()
    assert remote_statuses(slow) == ["running", "running"]
    make_manager(slow).run_jobs(None, start_job, tmp_path / "jobs.csv")
    assert count(database, "status = 'canceled'") == 3
    assert remote_statuses(slow) == ["canceled", "canceled"]


def test_the_next_run_asks_for_the_costs_that_came_late(make_manager, make_simulator, tmp_path: Path) -> None:
    late = make_simulator(tmp_path / "late", name="late", deviations=Deviations(lags=Lags(costs_seconds=0.4)))
    manager = make_manager(late)
    manager.run_jobs(make_rows(3), start_job, tmp_path / "jobs.csv")
    database = tmp_path / "jobs.sqlite"
    rows = "SELECT costs, currency, json_extract(usage, '$.cpu.unit'), cpu_unit FROM attempts"
    assert query(database, "SELECT DISTINCT status FROM jobs") == [("finished",)]
    time.sleep(0.4)
    manager.run_jobs(make_rows(4), start_job, tmp_path / "jobs.csv", on_exists="append")
    known = [row for row in query(database, rows) if row[0] is not None]
    assert len(known) >= 3
    assert {row[1:] for row in known} == {("credits", "cpu-seconds", "cpu-seconds")}
    truth = {one.id: one.costs for one in late.truth().batch_jobs}
    told = dict(query(database, "SELECT id, costs FROM attempts WHERE costs IS NOT NULL"))
    assert told == {one: truth[one] for one in told}
    assert json.loads(query(database, "SELECT usage FROM attempts LIMIT 1")[0][0])["memory"]["value"] > 0


def test_what_is_no_request_is_refused(make_manager, north: Simulator, tmp_path: Path) -> None:
    make_manager(north).run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    database = tmp_path / "jobs.sqlite"
    with pytest.raises(UsageError, match="which rows"):
        openeo_jobs.cancel(database)
    with pytest.raises(UsageError, match="'finished' is no status that can be canceled; there are: not_st"):
        openeo_jobs.cancel(database, statuses="finished")
    with pytest.raises(UsageError, match="no such column: yeer"):
        openeo_jobs.cancel(database, where="yeer = 1")
    with pytest.raises(OpenEOJobsError, match="there is no row 2"):
        openeo_jobs.cancel(database, rows=[2])
    assert openeo_jobs.cancel(database, rows=[1]).left == (1,)
