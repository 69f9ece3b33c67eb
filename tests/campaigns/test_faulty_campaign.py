"""One campaign of 100 rows of which 20 are bad in different ways: nothing of it stops the others."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import openeo
import pandas as pd
import pytest
import requests

from campaigning import PROCESS, connect_to, make_rows, query
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Simulator

pytestmark = pytest.mark.wheel

BAD_PROCESS = {"odd": {"process_id": "frobnicate", "arguments": {}, "result": True}}


class FaultyManager(MultiBackendJobManager):
    """A hook that raises for some rows, and does its work for the others."""

    def on_job_error(self, job: openeo.BatchJob, row: pd.Series) -> None:
        if row.tile == "T010":
            raise RuntimeError("hook for a failed row")
        super().on_job_error(job, row)


def start_faulty_job(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> Any:
    number = int(row.tile[1:])
    if number >= 20:
        return connection.create_job(PROCESS, title=row.tile)
    if number == 0:
        raise KeyError("west")
    if number == 1:
        raise requests.ConnectionError("another server, not a backend")
    if number == 2:
        return None
    if number == 3:
        return "j-123"
    if number == 4:
        return connection.create_job(PROCESS, title=row.tile) and connection
    if number == 5:
        connection.create_job(PROCESS, title=row.tile)
        raise ValueError("after a batch job was created")
    if number == 6:
        raise BaseExceptionGroup("several", [ValueError("one"), TypeError("two")])
    if number == 7:
        return connection.create_job({}, title=row.tile)
    if number == 8:
        return connection.job("no-such-batch-job")
    if number == 9:
        return connection.load_collection("NO_SUCH_COLLECTION").create_job(title=row.tile)
    if number == 11:
        return connection.create_job(PROCESS, title=row.tile).start()
    if number == 12:
        job = connection.create_job(PROCESS, title=row.tile)
        job.delete()
        return job
    return connection.create_job(BAD_PROCESS, title=row.tile)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("faulty")
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger("openeo_jobs").addHandler(handler)
    with (
        Simulator(folder=folder / "north", seed=1, name="north", run_seconds=(0.02, 0.05)) as north,
        Simulator(folder=folder / "south", seed=2, name="south", run_seconds=(0.02, 0.05)) as south,
    ):
        manager = FaultyManager(poll_sleep=0.1, root_dir=folder / "results", grace=0.3, lost_after=0.5)
        manager.add_backend("north", connect_to(north), parallel_jobs=6)
        manager.add_backend("south", connect_to(south), parallel_jobs=6)
        manager.add_backend("dead", connect_to_nobody, parallel_jobs=6)
        inject(north, south)
        stats = manager.run_jobs(make_rows(100).iloc[::-1], start_faulty_job, folder / "jobs.csv")
        yield folder, stats, north, south, records
    logging.getLogger("openeo_jobs").removeHandler(handler)


def connect_to_nobody() -> openeo.Connection:
    return openeo.connect("http://127.0.0.1:9", session=requests.Session())


def inject(north: Simulator, south: Simulator) -> None:
    """Faults of the backends themselves, each hitting rows that are good."""
    north.fail_next("POST", "^/jobs$", 503, "InfrastructureBusy")
    north.fail_next("POST", "^/jobs$", 504, "Timeout", after_effect=True)
    north.fail_next("POST", "^/jobs/.*/results$", 400, "ConcurrentJobLimit")
    north.fail_next("GET", "^/jobs/[^/]*$", 500, "Internal")
    north.fail_next("GET", "^/jobs/[^/]*/results$", 502, "BadGateway", times=2)
    south.fail_next("POST", "^/jobs$", 402, "PaymentRequired")
    south.fail_next("POST", "^/jobs$", 429, "TooManyRequests")
    south.fail_next("GET", "^/jobs/[^/]*$", 401, "AuthenticationRequired")
    south.fail_next("POST", "^/jobs/.*/results$", 503, "InfrastructureBusy", after_effect=True)


def look_up(folder: Path, tile: str) -> tuple[Any, ...]:
    return query(
        folder / "jobs.sqlite",
        "SELECT jobs.status, error_class, error_message, error_http_status, error_code, error_at IS NOT NULL "
        "FROM jobs LEFT JOIN attempts ON attempts.job = jobs.job "
        "AND attempts.attempt = (SELECT max(attempt) FROM attempts AS a WHERE a.job = jobs.job) "
        "WHERE tile = ?",
        tile,
    )[0]


def test_every_good_row_is_finished_with_its_results(campaign) -> None:
    folder, *_ = campaign
    good = [f"T{i:03}" for i in (11, *range(20, 100))]
    found = query(folder / "jobs.sqlite", "SELECT tile, status, results_status FROM jobs ORDER BY tile")
    assert [row for row in found if row[0] in good] == [(tile, "finished", "downloaded") for tile in good]
    for (batch_job_id,) in query(folder / "jobs.sqlite", "SELECT id FROM jobs WHERE status = 'finished'"):
        assert (folder / "results" / f"job_{batch_job_id}" / "job-results.json").exists()


def test_no_batch_job_runs_twice_and_none_runs_unknown(campaign) -> None:
    folder, _, north, south, _ = campaign
    known = {one for (one,) in query(folder / "jobs.sqlite", "SELECT id FROM batch_jobs")}
    for backend in (north, south):
        for one in backend.truth().batch_jobs:
            assert one.executions <= 1
            assert one.starts == 0 or one.id in known


@pytest.mark.parametrize(
    ("tile", "status", "error_class", "message"),
    [
        ("T000", "start_failed", "permanent", "KeyError: 'west' in start_job"),
        ("T001", "start_failed", "permanent", "another server, not a backend"),
        ("T003", "start_failed", "permanent", "start_job returned str"),
        ("T004", "start_failed", "permanent", "start_job returned Connection"),
        ("T005", "start_failed", "permanent", "after a batch job was created"),
        ("T006", "start_failed", "permanent", "several"),
        ("T007", "start_failed", "permanent", ""),
        ("T008", "start_failed", "permanent", "does not know the row's batch job no-such-batch-job"),
        ("T013", "error", "remote error", "frobnicate"),
        ("T010", "error", "remote error", "frobnicate"),
    ],
)
def test_a_bad_row_keeps_its_reason(campaign, tile, status, error_class, message) -> None:
    folder, *_ = campaign
    found = look_up(folder, tile)
    assert found[:2] == (status, error_class)
    assert message in found[2]
    assert found[5] == 1


def test_a_row_without_a_batch_job_is_skipped(campaign) -> None:
    assert look_up(campaign[0], "T002")[0] == "skipped"


def test_a_batch_job_that_is_deleted_is_lost(campaign) -> None:
    folder, *_ = campaign
    assert look_up(folder, "T012")[:2] == ("lost", "permanent")


def test_what_the_callback_started_itself_is_not_started_again(campaign) -> None:
    folder, _, north, south, _ = campaign
    (batch_job_id,) = query(folder / "jobs.sqlite", "SELECT id FROM jobs WHERE tile = 'T011'")[0]
    truth = {one.id: one for backend in (north, south) for one in backend.truth().batch_jobs}
    assert truth[batch_job_id].starts == 1


def test_each_failure_is_logged_once(campaign) -> None:
    texts = [record.getMessage() for record in campaign[4] if record.levelno >= logging.WARNING]
    assert sum("KeyError: 'west' in start_job" in text for text in texts) == 1
    assert sum("hook for a failed row" in text for text in texts) <= 1
    assert sum(text.startswith("dead paused") for text in texts) == 1


def test_a_hook_that_raises_is_stored_and_stops_no_other(campaign) -> None:
    folder, stats, *_ = campaign
    errors = query(folder / "jobs.sqlite", "SELECT hook_error FROM attempt WHERE hook_error IS NOT NULL")
    assert ("RuntimeError: hook for a failed row",) in errors
    assert stats["hook error"] == 3 * len(errors)
    assert list((folder / "results").glob("job_*/job_*_errors.json"))


def test_a_pause_of_a_backend_fails_no_row(campaign) -> None:
    folder, *_ = campaign
    found = query(
        folder / "jobs.sqlite",
        "SELECT DISTINCT error_class, error_http_status FROM attempts WHERE error_http_status IS NOT NULL "
        "AND job IN (SELECT job FROM jobs WHERE status = 'finished') ORDER BY 2",
    )
    assert ("payment", 402) in found
    assert ("limit", 429) in found
    statuses = query(folder / "jobs.sqlite", "SELECT DISTINCT status FROM jobs ORDER BY 1")
    assert [status for (status,) in statuses] == ["error", "finished", "lost", "skipped", "start_failed"]
