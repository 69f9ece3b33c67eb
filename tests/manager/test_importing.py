"""A campaign that openEO's own manager began is taken over in any state: nothing is created or run twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from openeo.extra import job_management as upstream

from campaigning import connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager, create_job_db
from openeo_jobs.errors import FrameError, MirrorError

pytestmark = pytest.mark.wheel


ROWS = 12


def run_upstream(folder: Path, url: str, *, events: int) -> str:
    """Let openEO's own manager run, or go on, and kill it at an event; return what it complained of."""
    script = Path(__file__).with_name("upstream_campaign.py")
    command = [sys.executable, "-W", "ignore", str(script), str(folder), url, str(ROWS), str(events)]
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    return "" if done.returncode in (0, -signal.SIGKILL) else done.stderr.splitlines()[-1]


def is_torn(csv: Path) -> bool:
    """Say whether openEO's own manager was killed while it wrote the file, which it does in place."""
    return csv.exists() and not csv.read_bytes().endswith(b"\n")


def quick(make_manager, north, **kwargs):
    return make_manager(north, grace=0.2, **kwargs)


@pytest.mark.parametrize(
    "number", [*range(2), *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 20))]
)
def test_a_file_that_openeos_own_manager_left_when_it_was_killed_is_finished(
    make_manager, north, tmp_path: Path, number: int
) -> None:
    """Every row is executed once; where the file itself is torn, that is told, and nothing is touched.

    Only what openEO's own manager had started before it stored the id is not known to anybody. What openEO's own manager does with files of these moments is shown by the next test.
    """
    events = random.Random(number).randrange(10, 220)
    print(f"seed {number}: killed at event {events}")
    csv = tmp_path / "jobs.csv"
    assert run_upstream(tmp_path, north.url, events=events) == ""
    if is_torn(csv):
        with pytest.raises(MirrorError, match=r"jobs\.csv cannot be taken over: it (is empty|ends in)"):
            quick(make_manager, north).run_jobs(make_rows(ROWS), start_job, csv)
        return
    if not csv.exists():
        create_job_db(csv, make_rows(ROWS)).close()
    known = set(pd.read_csv(csv, dtype=str)["id"].dropna())
    started = {one.id for one in north.truth().batch_jobs if one.starts} - known
    before = csv.read_bytes()
    quick(make_manager, north).run_jobs(make_rows(ROWS), start_job, csv)
    rows = query(tmp_path / "jobs.sqlite", "SELECT id, status, results_status FROM jobs ORDER BY job")
    assert [row[1:] for row in rows] == [("finished", "downloaded")] * ROWS
    executions = north.truth().executions
    assert {row[0] for row in rows} >= known
    assert {executions[row[0]] for row in rows} == {1}
    assert set(executions.values()) <= {0, 1}
    forgotten = {one for one, number in executions.items() if number} - {row[0] for row in rows}
    assert forgotten <= started
    copy = tmp_path / "jobs.csv.before-openeo-jobs"
    assert not copy.exists() or copy.read_bytes() == before


@pytest.mark.long
def test_what_openeos_own_manager_does_with_its_files(make_simulator, tmp_path: Path) -> None:
    """It goes on with its files of the same moments, and this is printed; not all of it is in our hands.

    Seen of 20 campaigns: 10 in which finished rows have no results, 6 with more batch jobs than rows, 2 with
    rows that stay `created` or `queued_for_start` for ever, 1 whose file it could not read any more.
    """
    found: Counter[str] = Counter()
    for number in range(20):
        folder = tmp_path / str(number)
        north = make_simulator(folder / "north")
        run_upstream(folder, north.url, events=random.Random(number).randrange(10, 220))
        if run_upstream(folder, north.url, events=1500):
            found["it cannot read its file any more"] += 1
            continue
        frame = pd.read_csv(folder / "jobs.csv", dtype=str)
        folders = [folder / "results" / f"job_{one}" for one in frame["id"].dropna()]
        found["rows are stuck"] += bool((frame["status"] != "finished").any())
        found["finished rows lack results"] += not all((f / "job-results.json").exists() for f in folders)
        found["there are more batch jobs than rows"] += len(north.truth().batch_jobs) > ROWS
    print(dict(found))
    assert sum(found.values())


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
    with monkeypatch.context() as patch, pytest.raises(SystemExit):

        def kill(*args, **kwargs):
            raise SystemExit

        patch.setattr("openeo_jobs.campaign.importing.Found.keep_copy", kill)
        make_manager(north).run_jobs(None, start_job, csv)
    assert (tmp_path / "jobs.sqlite").exists()
    make_manager(north).run_jobs(None, start_job, csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT status FROM jobs ORDER BY job") == [
        *(("finished",), ("skipped",))
    ]
