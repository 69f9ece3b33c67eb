"""Whole campaigns in which much goes wrong: the fuse, limits, slow logins, and the number of the attempt."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any

import openeo
import pytest

from campaigning import QUICK, connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.errors import UsageError
from openeo_jobs.simulator import Simulator
from openeo_jobs.user_code import asks_for_attempt

pytestmark = pytest.mark.wheel

BAD_PROCESS = {"odd": {"process_id": "frobnicate", "arguments": {}, "result": True}}


def start_bad_job(row: Any, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob:
    return connection.create_job(BAD_PROCESS, title=row.tile)


def test_a_fault_in_the_script_costs_no_more_than_10_batch_jobs_and_the_slots(
    make_manager, north, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """openEO's own manager creates a batch job for each of the rows."""
    manager = make_manager(north, parallel_jobs=5)
    stats = manager.run_jobs(make_rows(30), start_bad_job, tmp_path / "jobs.csv")
    created = len(north.truth().batch_jobs)
    assert 10 <= created <= 15
    assert stats["fuse tripped"] == 1
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[0].startswith("nothing new is created on north: 10 attempts in a row failed alike")
    assert errors[1].startswith(f"{30 - created} rows were not begun")


def test_a_limit_of_the_account_below_the_cap_fails_no_row(make_manager, tmp_path: Path) -> None:
    """openEO's own manager: 195 of 300 rows were `start_failed`."""
    with Simulator(folder=tmp_path / "b", seed=3, name="north", concurrent_jobs=2, **QUICK) as north:
        make_manager(north, parallel_jobs=4).run_jobs(make_rows(6), start_job, tmp_path / "jobs.csv")
        assert [one.executions for one in north.truth().batch_jobs] == [1] * 6
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]
    assert query(tmp_path / "jobs.sqlite", "SELECT max(attempt) FROM attempts") == [(1,)]


def test_a_login_runs_in_a_thread_of_its_own_and_once(north, south, tmp_path: Path) -> None:
    manager, threads = MultiBackendJobManager(poll_sleep=0.05, root_dir=tmp_path), []

    def log_in(simulator: Simulator) -> openeo.Connection:
        threads.append(threading.current_thread())
        return connect_to(simulator)()

    for simulator in (north, south):
        manager.add_backend(simulator.name, partial(log_in, simulator), parallel_jobs=4)

    def start(row: Any, connection_provider: Any, provider: str, **kwargs: Any) -> openeo.BatchJob:
        assert threading.current_thread() is threading.main_thread()
        return start_job(row, connection_provider("north" if provider == "south" else "south"))

    manager.run_jobs(make_rows(8), start, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]
    assert len(threads) == len(set(threads) - {threading.main_thread()}) == 2


def test_the_number_of_the_attempt_is_given_to_who_asks_for_it(make_manager, north, tmp_path: Path) -> None:
    seen: list[int] = []

    def start(row, attempt, **kwargs):
        seen.append(attempt)
        raise ValueError("no luck")

    make_manager(north, max_attempts={"permanent": 2}).run_jobs(make_rows(1), start, tmp_path / "jobs.csv")
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("callback", "asks"),
    [
        (lambda row, attempt, **kwargs: None, True),
        (lambda row, *, attempt=1, **kwargs: None, True),
        (lambda row, **kwargs: None, False),
        (lambda row, connection_provider, connection, provider: None, False),
        (lambda attempt, /, **kwargs: None, False),
        (lambda row, *attempt, **kwargs: None, False),
        (dict, False),
        (print, False),
    ],
)
def test_only_a_parameter_of_that_name_asks_for_it(callback: Any, asks: bool) -> None:
    assert asks_for_attempt(callback) is asks


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("max_failures_in_a_row", 0, "max_failures_in_a_row is a number from 1, or None, not 0"),
        ("max_attempts", "3", "max_attempts is a number from 1"),
        ("max_attempts", {"remote": 3}, "no class of error is called 'remote'; there are: 'transient'"),
    ],
)
def test_a_bad_number_is_refused(argument: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MultiBackendJobManager(**{argument: value})
