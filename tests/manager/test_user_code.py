"""What `start_job` and the hooks are called with, in which thread, and what they may return."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import openeo
import pandas as pd
import pytest

from campaigning import PROCESS, connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Simulator

pytestmark = pytest.mark.wheel


def test_the_callback_gets_exactly_the_documented_keywords(make_manager, north, tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []

    def callback(row, connection_provider, connection, provider):
        calls.append({"row": row, "connection": connection, "provider": provider})
        assert connection_provider("north") is connection
        assert threading.current_thread() is threading.main_thread()
        return start_job(row, connection)

    frame = pd.DataFrame(
        {"tile": ["007", "NA"], "year": [2020, 2021], "share": [0.5, None], "bands": [["B04"], None]},
        index=["a", "b"],
    )
    make_manager(north).run_jobs(frame, callback, tmp_path / "jobs.csv")
    first, second = (call["row"] for call in calls)
    assert isinstance(first, pd.Series)
    assert (first.name, second.name) == ("a", "b")
    assert (first.tile, first["year"], first.bands) == ("007", 2020, ["B04"])
    assert type(first.year) is int
    assert (first.backend_name, first.status, first.id) == ("north", "not_started", None)
    assert list(first.index)[:4] == ["tile", "year", "share", "bands"]
    assert [call["provider"] for call in calls] == ["north", "north"]


def test_a_row_reads_the_same_after_a_restart(make_manager, north, tmp_path: Path) -> None:
    rows: list[pd.Series] = []

    def fail(row, connection, **kwargs):
        rows.append(row)
        raise ValueError("not yet")

    frame = pd.DataFrame({"when": pd.to_datetime(["2024-01-01"], utc=True), "x": [float("nan")], "n": [1]})
    make_manager(north).run_jobs(frame, fail, tmp_path / "jobs.sqlite")
    with_sql(tmp_path / "jobs.sqlite", "UPDATE job SET status = 'not_started'")
    make_manager(north).run_jobs(None, fail, tmp_path / "jobs.sqlite")
    pd.testing.assert_series_equal(rows[0], rows[1])
    assert [type(value) for value in rows[0]] == [type(value) for value in rows[1]]


def with_sql(database: Path, sql: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql)


class Hooked(MultiBackendJobManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[tuple[str, str, str]] = []

    def on_job_done(self, job: openeo.BatchJob, row: pd.Series) -> None:
        super().on_job_done(job, row)
        assert (self.get_job_dir(job.job_id) / "job-results.json").exists()
        self.calls.append(("done", row.tile, row.status))
        assert row.id == job.job_id
        assert threading.current_thread() is not threading.main_thread()

    def on_job_error(self, job: openeo.BatchJob, row: pd.Series) -> None:
        super().on_job_error(job, row)
        self.calls.append(("error", row.tile, row.status))

    def on_job_cancel(self, job: openeo.BatchJob, row: pd.Series) -> None:
        self.calls.append(("cancel", row.tile, row.status))

    def get_job_dir(self, job_id: str) -> Path:
        return self._root_dir / "deep" / job_id


def start_several_ways(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob:
    if row.tile == "T001":
        process = {"odd": {"process_id": "frobnicate", "arguments": {}, "result": True}}
        return connection.create_job(process, title=row.tile)
    if row.tile == "T002":
        return connection.create_job(PROCESS, title=row.tile, job_options={"long": True})
    return connection.create_job(PROCESS, title=row.tile)


def test_overridden_hooks_take_over_and_super_downloads(make_manager, tmp_path: Path) -> None:
    with Simulator(folder=tmp_path / "slow", run_seconds=(0.0, 0.1), name="slow") as backend:
        manager = make_manager(backend, cls=Hooked)
        manager.run_jobs(make_rows(2), start_several_ways, tmp_path / "jobs.csv")
    assert sorted(manager.calls) == [("done", "T000", "finished"), ("error", "T001", "error")]
    (finished,) = query(tmp_path / "jobs.sqlite", "SELECT id, results_status FROM jobs WHERE tile = 'T000'")
    assert finished[1] == "downloaded"
    assert (tmp_path / "results" / "deep" / finished[0] / "openEO.tif").exists()
    (failed,) = query(tmp_path / "jobs.sqlite", "SELECT id FROM jobs WHERE tile = 'T001'")
    logs = json.loads(
        (tmp_path / "results" / "deep" / failed[0] / f"job_{failed[0]}_errors.json").read_text()
    )
    assert "frobnicate" in logs[0]["message"]


def test_a_job_that_runs_too_long_is_canceled_and_its_hook_called(make_manager, tmp_path: Path) -> None:
    with Simulator(
        folder=tmp_path / "slow", queue_seconds=(0, 0), run_seconds=(60, 60), name="slow"
    ) as backend:
        manager = make_manager(backend, cls=Hooked, cancel_running_job_after=0.2)
        manager.run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    assert manager.calls == [("cancel", "T000", "canceled")]


def test_no_results_are_downloaded_where_none_are_wanted(make_manager, north, tmp_path: Path) -> None:
    make_manager(north, download_results=False).run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status, results_status FROM jobs") == [
        ("finished", "not_wanted")
    ]
    assert not (tmp_path / "results").exists()


def test_titles_carry_a_tag_unless_it_is_turned_off(make_manager, north, south, tmp_path: Path) -> None:
    make_manager(north).run_jobs(make_rows(1), start_job, tmp_path / "tagged.csv")
    make_manager(south, tag_titles=False).run_jobs(make_rows(1), start_job, tmp_path / "plain.csv")
    (uid,) = query(tmp_path / "tagged.sqlite", "SELECT substr(uid, 1, 6) FROM campaign")[0]
    (tagged,) = north.truth().batch_jobs
    assert tagged.title.startswith(f"tile T000 [oj-{uid}-1-")
    assert [one.title for one in south.truth().batch_jobs] == ["tile T000"]


def test_a_connection_and_a_callable_may_be_registered(north, south, tmp_path: Path) -> None:
    manager = MultiBackendJobManager(poll_sleep=0.05, root_dir=tmp_path)
    manager.add_backend("north", connection=connect_to(north)(), parallel_jobs=1)
    manager.add_backend("south", connect_to(south), 1)
    manager.run_jobs(make_rows(4), start_job, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT backend_name, count(*) FROM jobs GROUP BY 1") == [
        ("north", 2),
        ("south", 2),
    ]


def test_a_pinned_row_goes_where_its_user_wants_it(make_manager, north, south, tmp_path: Path) -> None:
    frame = make_rows(4).assign(backend_name=["south", "south", None, "south"])
    make_manager(north, south).run_jobs(frame, start_job, tmp_path / "jobs.csv")
    found = query(tmp_path / "jobs.sqlite", "SELECT tile, backend_name FROM jobs ORDER BY 1")
    assert [name for _, name in found if _ != "T002"] == ["south"] * 3


def test_a_manager_runs_in_another_thread_and_leaves_signals_alone(
    make_manager, north, tmp_path: Path
) -> None:
    import signal

    before = signal.getsignal(signal.SIGINT)
    stats: list[dict[str, int]] = []
    manager = make_manager(north)
    thread = threading.Thread(
        target=lambda: stats.append(manager.run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv"))
    )
    thread.start()
    thread.join(30)
    assert stats[0]["job finished"] == 2
    manager.run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    assert signal.getsignal(signal.SIGINT) is before


def test_the_csv_cannot_be_written_and_nothing_else_suffers(
    make_manager, north, tmp_path: Path, caplog
) -> None:
    csv = tmp_path / "jobs.csv"

    def callback(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob:
        if not csv.exists():
            csv.mkdir()  # somebody blocks the name while the run is on
        return start_job(row, connection)

    make_manager(north).run_jobs(make_rows(3), callback, csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]
    assert sum("cannot be written" in record.getMessage() for record in caplog.records) == 1
    assert not list(tmp_path.glob(".*.part"))


def test_a_path_helper_that_raises_fails_its_row_only(make_manager, north, tmp_path: Path) -> None:
    class Picky(MultiBackendJobManager):
        def get_job_dir(self, job_id: str) -> Path:
            if job_id.endswith("1"):
                raise LookupError(f"no folder for {job_id}")
            return super().get_job_dir(job_id)

    make_manager(north, cls=Picky).run_jobs(make_rows(3), start_job, tmp_path / "jobs.csv")
    found = query(tmp_path / "jobs.sqlite", "SELECT results_status, results_error FROM job ORDER BY id")
    assert found == [("failed", "no folder for north-00001"), ("downloaded", None), ("downloaded", None)]


def test_a_connection_under_two_names_keeps_both_caps(north, tmp_path: Path) -> None:
    connection = connect_to(north)()
    manager = MultiBackendJobManager(poll_sleep=0.05, root_dir=tmp_path)
    manager.add_backend("one", connection, parallel_jobs=2)
    manager.add_backend("two", connection, parallel_jobs=1)
    manager.run_jobs(make_rows(12), start_job, tmp_path / "jobs.csv")
    assert north.truth().peak_parallel <= 3
    assert {
        name for (name,) in query(tmp_path / "jobs.sqlite", "SELECT DISTINCT backend_name FROM jobs")
    } == {*("one", "two")}


def test_results_that_a_hook_has_moved_are_its_business(make_manager, north, tmp_path: Path) -> None:
    class Mover(MultiBackendJobManager):
        def on_job_done(self, job: openeo.BatchJob, row: pd.Series) -> None:
            super().on_job_done(job, row)
            self.get_job_dir(job.job_id).rename(tmp_path / row.tile)

    for _ in range(2):
        make_manager(north, cls=Mover).run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    assert len(north.requests("GET", r"^/jobs/[^/]+/results$")) == 2
    assert (tmp_path / "T000" / "job-results.json").exists()


def test_a_backend_may_be_replaced_by_a_hook(make_manager, north, tmp_path: Path) -> None:
    class Renewing(MultiBackendJobManager):
        def on_job_done(self, job: openeo.BatchJob, row: pd.Series) -> None:
            self.add_backend("north", connect_to(north), parallel_jobs=4)

    make_manager(north, cls=Renewing).run_jobs(make_rows(6), start_job, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT status, count(*) FROM jobs GROUP BY 1") == [
        ("finished", 6)
    ]
