"""Subclasses written for openEO's own manager: what works, and what is told what to use instead."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from campaigning import connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.errors import UsageError

pytestmark = pytest.mark.wheel


class WorldCerealManager(MultiBackendJobManager):
    """Has a `run_jobs` of its own, counts rounds, moves results, keeps going after a failure."""

    def __init__(self, output_dir: Path, **kwargs) -> None:
        super().__init__(root_dir=output_dir, **kwargs)
        self.rounds, self.failed = 0, []

    def _job_update_loop(self, job_db, start_job, stats=None):
        super()._job_update_loop(job_db=job_db, start_job=start_job, stats=stats)
        self.rounds += 1
        stats["rounds of mine"] += 1

    def on_job_done(self, job, row):
        super().on_job_done(job, row)
        (self._root_dir / f"{row['tile']}.txt").write_text(job.job_id)

    def on_job_error(self, job, row):
        super().on_job_error(job, row)
        self.failed.append(row["tile"])

    def run_jobs(self, **kwargs):
        return super().run_jobs(start_job=self.create, job_db=kwargs.pop("job_db"), **kwargs)

    def create(self, row, connection, provider, **kwargs):
        return start_job(row, connection)


def test_a_manager_like_worldcereals(north, tmp_path: Path) -> None:
    manager = WorldCerealManager(tmp_path, poll_sleep=0.05)
    manager.add_backend("north", connect_to(north), parallel_jobs=4)
    stats = manager.run_jobs(df=make_rows(6), job_db=tmp_path / "jobs.csv")
    assert stats["rounds of mine"] == manager.rounds == stats["run_jobs loop"]
    assert len(list(tmp_path.glob("T*.txt"))) == 6
    assert manager.poll_sleep == 0.05
    assert manager._thread is None


class GfmapManager(MultiBackendJobManager):
    """Works on finished jobs in threads, and calls `run_jobs` with positions."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.workers: list[threading.Thread] = []
        self.processed: list[str] = []

    def on_job_done(self, job, row):
        worker = threading.Thread(target=self._post_process, args=(job, row))
        self.workers.append(worker)
        worker.start()

    def _post_process(self, job, row):
        job.get_results().download_files(self.get_job_dir(job.job_id))
        self.processed.append(row.tile)

    def run_jobs(self, df, start_job, output_file):
        stats = super().run_jobs(self._normalize_df(df), start_job, output_file)
        for worker in self.workers:
            worker.join()
        return stats


def test_a_manager_like_gfmaps(make_manager, north, tmp_path: Path) -> None:
    manager = make_manager(north, cls=GfmapManager)
    manager.run_jobs(make_rows(5), start_job, tmp_path / "jobs.csv")
    assert sorted(manager.processed) == list(make_rows(5).tile)
    assert len(list((tmp_path / "results").glob("job_*/*"))) >= 5


class WeedManager(MultiBackendJobManager):
    """Names its folders by title, and has phases of openEO's own manager."""

    def get_job_dir(self, job_id: str, title: str | None = None) -> Path:
        return self._root_dir / (title or "untitled") / job_id


def test_a_path_helper_with_one_more_argument_is_obeyed(make_manager, north, tmp_path: Path) -> None:
    make_manager(north, cls=WeedManager).run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    assert len(list((tmp_path / "results" / "untitled").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("_track_statuses", "on_job_done, on_job_error or on_job_cancel"),
        ("_update_statuses", "_job_update_loop"),
        ("_launch_job", "start_job, which is called for every row"),
        ("_make_resilient", "add_backend"),
    ],
)
def test_a_phase_that_does_not_exist_here_is_told_of_at_construction(name: str, instead: str) -> None:
    weed = type("Weed", (MultiBackendJobManager,), {name: lambda self, *args: None})
    with pytest.raises(UsageError, match=f"Weed overrides {name}.*{instead}"):
        weed()


def test_a_helper_that_cannot_be_called_as_documented_is_told_of_at_construction() -> None:
    class Weed(MultiBackendJobManager):
        def get_job_dir(self, job_id: str, title: str) -> Path:
            return Path(title)

    with pytest.raises(UsageError, match=r"Weed.get_job_dir is called with job_id, and nothing else.*title"):
        Weed()


def test_one_round_may_be_done_by_code_of_ones_own(make_manager, north, tmp_path: Path) -> None:
    def interrupt(row, connection, **kwargs):
        raise KeyboardInterrupt

    database = tmp_path / "jobs.sqlite"
    manager = make_manager(north)
    with pytest.raises(KeyboardInterrupt):
        manager.run_jobs(make_rows(3), interrupt, database)
    stats: Counter[str] = Counter()
    while query(database, "SELECT count(*) FROM jobs WHERE results_status IS NOT 'downloaded'") != [(0,)]:
        manager._job_update_loop(database, start_job, stats)
        time.sleep(0.02)
    assert stats["job finished"] == stats["start_job call"] == 3
    assert list(north.truth().executions.values()) == [1, 1, 1]


def test_a_run_ends_when_its_attribute_says_so(make_manager, north, tmp_path: Path) -> None:
    class Stopping(MultiBackendJobManager):
        def on_job_done(self, job, row):
            self._stop_thread = True

    manager = make_manager(north, cls=Stopping, parallel_jobs=1)
    manager.run_jobs(make_rows(4), start_job, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT count(*) FROM jobs WHERE status = 'not_started'")[0][0] > 0
    assert manager._stop_thread is False


def test_a_connection_that_is_dropped_is_made_anew(north, tmp_path: Path) -> None:
    class Renewing(MultiBackendJobManager):
        def on_job_done(self, job, row):
            self._connections.clear()

    made = []

    def connect():
        made.append(1)
        return connect_to(north)()

    manager = Renewing(poll_sleep=0.05, root_dir=tmp_path)
    manager.add_backend("north", connect, parallel_jobs=1)
    manager.run_jobs(make_rows(3), start_job, tmp_path / "jobs.csv")
    assert len(made) >= 3
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]


def test_a_frame_can_be_normalised(tmp_path: Path) -> None:
    frame = pd.DataFrame({"tile": ["a"], "status": ["error"]})
    normalised = MultiBackendJobManager._normalize_df(frame)
    assert list(normalised.columns)[:4] == ["tile", "status", "id", "backend_name"]
    assert normalised.status.tolist() == ["error"]
    assert list(frame.columns) == ["tile", "status"]
    assert "costs" in MultiBackendJobManager._column_requirements
