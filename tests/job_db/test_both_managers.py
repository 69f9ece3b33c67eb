"""openEO's own manager and ours on one `SqlJobDatabase`, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openeo.extra import job_management as upstream

from campaigning import connect_to, make_rows, query, start_job
from openeo_jobs import SqlJobDatabase, create_job_db

pytestmark = pytest.mark.wheel

ROWS = 100


class EnoughError(BaseException):
    """What ends openEO's own manager."""


def run_upstream(north, job_db, folder: Path, monkeypatch, is_enough: Callable[[], bool]) -> None:
    """Let openEO's own manager run until *is_enough*, or to its end."""

    def sleep(seconds: float) -> None:
        real_sleep(0.01)
        if is_enough():
            raise EnoughError

    real_sleep = time.sleep
    manager = upstream.MultiBackendJobManager(poll_sleep=0, root_dir=folder / "results")
    manager.add_backend("north", connect_to(north)(), parallel_jobs=8)
    with monkeypatch.context() as patch:
        patch.setattr(getattr(upstream, "_manager", upstream).time, "sleep", sleep)
        try:
            manager.run_jobs(start_job=start_job, job_db=job_db)
        except EnoughError:
            if getattr(manager, "_worker_pool", None) is not None:
                manager._worker_pool.shutdown()


@pytest.mark.thorough
def test_a_campaign_may_change_hands_in_the_middle_and_back(
    make_manager, north, tmp_path: Path, monkeypatch
) -> None:
    database = tmp_path / "jobs.sqlite"
    job_db = create_job_db(database, make_rows(ROWS))

    def count_finished() -> int:
        return job_db.count_by_status(["finished"]).get("finished", 0)

    run_upstream(north, job_db, tmp_path, monkeypatch, lambda: count_finished() >= 25)
    assert 25 <= count_finished() < ROWS

    manager, goal = make_manager(north, parallel_jobs=8, grace=0.2), 60
    while count_finished() < goal or job_db.count_by_status(["created"]):
        # A row that is left `created` is started by ours only: openEO's own manager never does.
        run = manager.start_job_thread(start_job, job_db)
        while count_finished() < goal:
            time.sleep(0.02)
        assert run.stop(30)
        goal += 1
    assert count_finished() < ROWS

    run_upstream(north, job_db, tmp_path, monkeypatch, lambda: False)
    assert job_db.count_by_status() == {"finished": ROWS}
    assert sorted(north.truth().executions_per_row.values()) == [1] * ROWS
    ids = {one for (one,) in query(database, "SELECT id FROM jobs")}
    assert ids == {one.id for one in north.truth().batch_jobs if one.starts}

    make_manager(north).run_jobs(None, start_job, SqlJobDatabase(database))
    assert query(database, "SELECT DISTINCT results_status FROM jobs") == [("downloaded",)]
    assert sorted(north.truth().executions.values()) == [1] * ROWS


def test_hooks_are_not_called_again_for_what_openeos_own_manager_has_ended(
    make_manager, north, tmp_path: Path, monkeypatch
) -> None:
    job_db = create_job_db(tmp_path / "jobs.sqlite", make_rows(3))
    run_upstream(north, job_db, tmp_path, monkeypatch, lambda: False)
    called: list[str] = []
    manager = make_manager(north)
    manager.on_job_done = lambda job, row: called.append(row.tile)
    manager.run_jobs(None, start_job, job_db)
    assert called == []
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT results_status FROM jobs") == [("not_wanted",)]
