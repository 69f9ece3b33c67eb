"""The example of openEO's documentation, copied but for urls, login and collection, over 200 rows."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import openeo
import pandas as pd
import pytest
from openeo.extra.job_management import CsvJobDatabase

from campaigning import query
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Simulator

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("example")
    times = {"queue_seconds": (0.0, 0.02), "run_seconds": (0.02, 0.1)}
    with (
        Simulator(folder=folder / "foo", seed=1, name="foo", **times) as foo,
        Simulator(folder=folder / "bar", seed=2, name="bar", **times) as bar,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.chdir(folder)
        stats = run_the_example(foo.url, bar.url)
    return folder, stats, foo, bar


def run_the_example(foo_url: str, bar_url: str) -> dict[str, int]:
    manager = MultiBackendJobManager(poll_sleep=0.05)
    manager.add_backend("foo", connection=openeo.connect(foo_url).authenticate_basic("user", "password"))
    manager.add_backend("bar", connection=openeo.connect(bar_url).authenticate_basic("user", "password"))

    jobs_df = pd.DataFrame({"year": range(1824, 2024)})
    output_file = "jobs.csv"

    def start_job(row: pd.Series, connection: openeo.Connection, **kwargs) -> openeo.BatchJob:
        year = row["year"]
        cube = connection.load_collection(
            "SENTINEL2_L2A",
            temporal_extent=[f"{year}-01-01", f"{year + 1}-01-01"],
        )
        return cube.create_job(title=f"year {year}")

    return manager.run_jobs(df=jobs_df, start_job=start_job, output_file=output_file)


def test_every_row_is_finished_and_executed_once(campaign) -> None:
    folder, stats, foo, bar = campaign
    assert query(folder / "jobs.sqlite", "SELECT status, count(*) FROM jobs GROUP BY 1") == [
        ("finished", 200)
    ]
    executions = {**foo.truth().executions_per_row}
    for row, count in bar.truth().executions_per_row.items():
        executions[row] = executions.get(row, 0) + count
    assert executions == dict.fromkeys(range(1, 201), 1)
    assert stats["start_job call"] == stats["job finished"] == 200


def test_parallel_jobs_is_never_exceeded_and_is_used(campaign) -> None:
    folder, _, foo, bar = campaign
    assert max(foo.truth().peak_parallel, bar.truth().peak_parallel) <= 2
    held = {"foo": 0, "bar": 0}
    peaks = dict(held)
    changes = query(
        folder / "jobs.sqlite",
        "SELECT backend_name, old = 'not_started', new = 'finished' FROM status_changes AS change "
        "JOIN attempts ON attempts.job = change.job ORDER BY at, new <> 'finished'",
    )
    for name, takes_a_slot, frees_one in changes:
        held[name] += takes_a_slot - frees_one
        peaks[name] = max(peaks[name], held[name])
    assert peaks == {"foo": 2, "bar": 2}


def test_the_csv_is_as_documented_and_openeo_reads_it(campaign) -> None:
    folder, *_ = campaign
    frame = CsvJobDatabase(folder / "jobs.csv").read()
    assert list(frame.columns)[:10] == [
        *("year", "id", "backend_name", "status", "start_time"),
        *("running_start_time", "cpu", "memory", "duration", "costs"),
    ]
    assert list(frame["year"]) == list(range(1824, 2024))
    assert set(frame["status"]) == {"finished"}
    assert set(frame["backend_name"]) == {"foo", "bar"}
    assert frame["id"].is_unique
    assert frame["costs"].gt(0).all()
    assert frame["cpu"].str.fullmatch(r"[\d.]+ cpu-seconds").all()


def test_the_results_are_whole_in_upstreams_layout(campaign) -> None:
    folder, *_ = campaign
    for (batch_job_id,) in query(folder / "jobs.sqlite", "SELECT id FROM jobs"):
        results = folder / f"job_{batch_job_id}"
        document = json.loads((results / "job-results.json").read_text())
        assert json.loads((results / f"job_{batch_job_id}.json").read_text())["id"] == batch_job_id
        assert document["assets"]
        for name, asset in document["assets"].items():
            content = (results / name).read_bytes()
            assert len(content) == asset["file:size"]
            assert "1220" + hashlib.sha256(content).hexdigest() == asset["file:checksum"]
    assert not list(folder.rglob("*.part"))


def test_the_history_is_complete_in_sql(campaign) -> None:
    folder, *_ = campaign
    database = folder / "jobs.sqlite"
    paths = query(
        database,
        "SELECT job, group_concat(old || '>' || new, ' ') FROM (SELECT * FROM status_changes) GROUP BY job",
    )
    assert len(paths) == 200
    for _, path in paths:
        steps = [step.split(">") for step in path.split()]
        assert [steps[0][0], *(new for _, new in steps)][:4] == [
            *("not_started", "submitting", "created", "queued_for_start"),
        ]
        assert steps[-1][1] == "finished"
        assert all(one[1] == other[0] for one, other in itertools.pairwise(steps))
    assert query(database, "SELECT count(*) FROM batch_jobs WHERE outcome = 'created' AND chosen") == [(200,)]
    assert query(database, "PRAGMA integrity_check") == [("ok",)]
    assert query(database, "PRAGMA foreign_key_check") == []


def test_the_same_call_again_has_nothing_to_do(campaign) -> None:
    folder, _, foo, bar = campaign
    before = Path(folder / "jobs.csv").read_bytes()
    with foo, bar, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        stats = run_the_example(foo.url, bar.url)
        created = len(foo.requests("POST", "^/jobs$")) + len(bar.requests("POST", "^/jobs$"))
    assert stats.get("start_job call", 0) == 0
    assert created == 200
    assert Path(folder / "jobs.csv").read_bytes() == before
