"""A campaign that openEO's own manager began is taken over in any state: nothing is created or run twice."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest
from openeo.extra import job_management as upstream

from campaigning import connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.errors import FrameError, MirrorError

pytestmark = pytest.mark.wheel


class KilledError(BaseException):
    """What ends openEO's own manager in the middle of something."""


def run_upstream(north, folder: Path, monkeypatch, *, rows: int, sleeps: int) -> Path:
    """Let openEO's own manager write a CSV until it has slept so often; return the file."""
    left = iter(range(sleeps))

    def sleep(seconds: float) -> None:
        if next(left, None) is None:
            raise KilledError

    manager = upstream.MultiBackendJobManager(poll_sleep=0, root_dir=folder / "results")
    manager.add_backend("north", connect_to(north)(), parallel_jobs=4)
    with monkeypatch.context() as patch:
        patch.setattr(upstream._manager.time, "sleep", sleep)
        with pytest.raises(KilledError):
            manager.run_jobs(df=make_rows(rows), start_job=start_job, job_db=folder / "jobs.csv")
    return folder / "jobs.csv"


def quick(make_manager, north, **kwargs):
    return make_manager(north, grace=0.2, **kwargs)


@pytest.mark.parametrize(
    "number", [*range(3), *(pytest.param(n, marks=pytest.mark.long) for n in range(3, 20))]
)
def test_a_file_that_openeos_own_manager_left_is_finished_and_no_batch_job_runs_twice(
    make_manager, north, tmp_path: Path, monkeypatch, number: int
) -> None:
    sleeps = random.Random(number).randrange(0, 60)
    print(f"seed {number}: {sleeps} sleeps")
    csv = run_upstream(north, tmp_path, monkeypatch, rows=12, sleeps=sleeps)
    known = set(pd.read_csv(csv, dtype=str)["id"].dropna())
    before = csv.read_bytes()
    quick(make_manager, north).run_jobs(None, start_job, csv)
    rows = query(tmp_path / "jobs.sqlite", "SELECT id, status, results_status FROM jobs ORDER BY job")
    assert [row[1:] for row in rows] == [("finished", "downloaded")] * 12
    executions = north.truth().executions
    assert {row[0] for row in rows} >= known
    assert {executions[row[0]] for row in rows} == {1}
    assert set(executions.values()) <= {0, 1}
    assert (tmp_path / "jobs.csv.before-openeo-jobs").read_bytes() == before


def write_csv(path: Path, **columns) -> Path:
    frame = pd.DataFrame({"tile": [f"T{i:03}" for i in range(len(columns["status"]))], "year": 2020})
    upstream.MultiBackendJobManager._normalize_df(frame).assign(**columns).to_csv(path, index=False)
    return path


def make_batch_job(north, *, start: bool = False):
    job = connect_to(north)().create_job(
        {"a": {"process_id": "load_collection", "arguments": {"id": "SENTINEL2_L2A"}, "result": True}}
    )
    if start:
        job.start()
    return job


def test_what_is_under_way_is_tracked_and_what_was_only_created_is_started_once(
    make_manager, north, tmp_path: Path, caplog
) -> None:
    caplog.set_level("INFO", "openeo_jobs")
    jobs = [make_batch_job(north), make_batch_job(north), make_batch_job(north, start=True)]
    csv = write_csv(
        tmp_path / "jobs.csv",
        id=[*(job.job_id for job in jobs), None],
        backend_name=["north", "north", "north", None],
        status=["created", "queued_for_start", "running", "not_started"],
    )
    quick(make_manager, north).run_jobs(None, start_job, csv)
    rows = query(tmp_path / "jobs.sqlite", "SELECT id, status FROM jobs ORDER BY job")
    assert [row[0] for row in rows[:3]] == [job.job_id for job in jobs]
    assert {row[1] for row in rows} == {"finished"}
    assert list(north.truth().executions.values()) == [1] * 4
    assert "took over" in caplog.text
    assert "4 rows (1 created, 1 not_started, 1 queued_for_start, 1 running)" in caplog.text


def test_failed_and_skipped_rows_stay_so_and_words_of_users_are_kept(
    make_manager, north, tmp_path: Path
) -> None:
    csv = write_csv(
        tmp_path / "jobs.csv",
        backend_name=["north", None, None, None],
        status=["start_failed", "skipped", "parked", "not_started"],
    )
    make_manager(north).run_jobs(None, start_job, csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT status, user_status FROM jobs ORDER BY job") == [
        *(("start_failed", None), ("skipped", None), ("not_started", "parked"), ("finished", None))
    ]
    assert pd.read_csv(csv).status.tolist() == ["start_failed", "skipped", "parked", "finished"]


def test_finished_rows_are_checked_against_their_folder(make_manager, north, tmp_path: Path) -> None:
    jobs = [make_batch_job(north), make_batch_job(north)]
    for job in jobs:
        job.start_and_wait(print=lambda line: None, max_poll_interval=0.05)
    jobs[0].get_results().download_files(tmp_path / "results" / f"job_{jobs[0].job_id}")
    before = len(north.requests("GET", "assets"))
    csv = write_csv(
        tmp_path / "jobs.csv",
        id=[job.job_id for job in jobs],
        backend_name="north",
        status=["finished", "finished"],
    )
    make_manager(north).run_jobs(None, start_job, csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT results_status FROM jobs") == [("downloaded",)]
    folders = [tmp_path / "results" / f"job_{job.job_id}" for job in jobs]
    assert all((folder / "job-results.json").exists() for folder in folders)
    fetched = {request.path.split("/")[2] for request in north.requests("GET", "assets")[before:]}
    assert fetched <= {jobs[1].job_id}
    assert list(north.truth().executions.values()) == [1, 1]


def test_a_hook_is_called_only_for_what_has_no_files_yet(make_manager, north, tmp_path: Path) -> None:
    class Noting(MultiBackendJobManager):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.called: list[str] = []

        def on_job_done(self, job, row):
            self.called.append(row.tile)

        def on_job_error(self, job, row):
            self.called.append(row.tile)

    jobs = [make_batch_job(north) for _ in range(3)]
    for job in jobs:
        job.start_and_wait(print=lambda line: None, max_poll_interval=0.05)
    jobs[0].get_results().download_files(tmp_path / "results" / f"job_{jobs[0].job_id}")
    csv = write_csv(
        tmp_path / "jobs.csv",
        id=[job.job_id for job in jobs],
        backend_name="north",
        status=["finished", "finished", "error"],
    )
    manager = make_manager(north, cls=Noting)
    manager.run_jobs(None, start_job, csv)
    assert manager.called == ["T001"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", MirrorError, "it is empty"),
        ("tile,id,backend_name,status\nT1,,,not_st", MirrorError, "in the middle of line 2"),
        ("a,b\n1,2\n", MirrorError, "it has no column id, backend_name, status"),
        ("tile,id,backend_name,status\n", MirrorError, "it has no rows"),
        ("\0\0\0\n", MirrorError, "it is no text"),
        ("tile,id,backend_name,status\nT1,,north,running\n", FrameError, "row 0 is 'running' but has no id"),
        (
            "tile,id,backend_name,status\nT1,j-1,north,running\nT2,j-1,north,running\n",
            FrameError,
            "rows 0 and 1 have the same id, j-1; clear one",
        ),
    ],
)
def test_a_file_that_cannot_be_taken_over_is_left_as_it_is(
    make_manager, north, tmp_path: Path, content: str, error: type[Exception], message: str
) -> None:
    csv = tmp_path / "jobs.csv"
    csv.write_bytes(content.encode())
    with pytest.raises(error, match=message):
        make_manager(north).run_jobs(None, start_job, csv)
    assert csv.read_bytes() == content.encode()
    assert not (tmp_path / "jobs.sqlite").exists()


def test_an_import_that_was_interrupted_is_done_again(
    make_manager, north, tmp_path: Path, monkeypatch
) -> None:
    csv = write_csv(tmp_path / "jobs.csv", status=["not_started", "skipped"])
    with monkeypatch.context() as patch, pytest.raises(KilledError):

        def kill(*args, **kwargs):
            raise KilledError

        patch.setattr("openeo_jobs.campaign.importing.Found.keep_copy", kill)
        make_manager(north).run_jobs(None, start_job, csv)
    assert (tmp_path / "jobs.sqlite").exists()
    make_manager(north).run_jobs(None, start_job, csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT status FROM jobs ORDER BY job") == [
        *(("finished",), ("skipped",))
    ]
