"""Calls that cannot be carried out say what is wrong and what to type, before anything is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import openeo
import pandas as pd
import pytest

from campaigning import make_rows, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.errors import FrameError, MirrorError, NotACampaignError, UsageError


def unreachable() -> openeo.Connection:
    raise ConnectionError("never connected to in these tests")


@pytest.fixture
def manager(tmp_path: Path) -> MultiBackendJobManager:
    manager = MultiBackendJobManager(poll_sleep=0.05, root_dir=tmp_path)
    manager.add_backend("north", unreachable)
    return manager


def test_no_backends(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no backends; first: manager\.add_backend"):
        MultiBackendJobManager().run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_job": None}, "start_job is missing"),
        ({"start_job": "start"}, "start_job is missing"),
        ({"start_job": lambda row, connection: None}, r"add \*\*kwargs to its parameters"),
        ({"output_file": None}, "where to keep the jobs"),
        ({"output_file": "jobs"}, r"'jobs' does not end in .csv, .parquet, .geoparquet, .sqlite or .db"),
        ({"output_file": "postgresql://localhost/jobs"}, "a database of postgresql is not supported yet"),
        ({"output_file": "://"}, "is no URL of a database"),
        ({"output_file": 7}, "job_db is int; give a path that ends in"),
        ({"on_exists": "overwrite"}, "on_exists is one of 'append', 'error', 'skip', 'update'"),
        ({"job_db": "other.csv"}, "two names for one thing"),
        ({"df": None}, "jobs.sqlite does not exist yet; give df="),
        ({"df": [1, 2]}, "df is list; give a pandas.DataFrame"),
        ({"df": pd.DataFrame({"year": []})}, "df has no rows"),
        ({"df": pd.DataFrame([[1, 2]], columns=["a", "a"])}, "a"),
        ({"df": pd.DataFrame([[1, 2]], columns=["tile", "Tile"])}, "Tile"),
        ({"df": pd.DataFrame({"id": ["31UFS"]})}, r'df = df.rename\(columns=\{"id": '),
        ({"df": pd.DataFrame({"status": ["done"]})}, r"df.rename"),
        ({"df": pd.DataFrame({"job": [1]})}, r"df.rename"),
        ({"df": pd.DataFrame({"a": [b"bytes"]})}, "bytes"),
    ],
)
def test_a_bad_argument_is_named_and_changes_nothing(
    manager: MultiBackendJobManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    call: dict[str, Any] = {
        "df": make_rows(2),
        "start_job": start_job,
        "output_file": "jobs.csv",
        **arguments,
    }
    with pytest.raises(UsageError, match=message):
        manager.run_jobs(**call)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(manager: MultiBackendJobManager, tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        manager.run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", unreachable), "the name of a backend is a text"),
        (("north", "http://north.test"), "connection is str; give an openeo.Connection"),
        (("north", unreachable, 0), "parallel_jobs is a number from 1, not 0"),
        (("north", unreachable, "2"), "parallel_jobs is a number from 1, not '2'"),
    ],
)
def test_a_bad_backend_is_refused(arguments, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MultiBackendJobManager().add_backend(*arguments)


@pytest.mark.parametrize(
    "argument", ["poll_sleep", "grace", "lost_after", "lease", "cancel_running_job_after"]
)
@pytest.mark.parametrize("value", [-1, "60", float("nan")])
def test_a_bad_duration_is_refused(argument: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{argument} is a number of seconds"):
        MultiBackendJobManager(**{argument: value})


def test_a_csv_without_a_database_is_never_overwritten(
    manager: MultiBackendJobManager, tmp_path: Path
) -> None:
    csv = tmp_path / "jobs.csv"
    csv.write_text("tile,id,status\nT1,j-1,running\n")
    with pytest.raises(MirrorError, match=r"has no column backend_name, so no job manager wrote it"):
        manager.run_jobs(make_rows(1), start_job, csv)
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.csv"]
    assert csv.read_text() == "tile,id,status\nT1,j-1,running\n"


@pytest.mark.parametrize("content", [b"", b"hello", b"tile,year\n1,2\n" * 20], ids=["empty", "short", "text"])
def test_a_file_that_is_no_database_is_left_untouched(
    manager: MultiBackendJobManager, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(content)
    with pytest.raises(NotACampaignError, match=r"jobs\.sqlite"):
        manager.run_jobs(make_rows(1), start_job, path)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_left_untouched(
    manager: MultiBackendJobManager, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE job (id)")
    before = path.read_bytes()
    with pytest.raises(NotACampaignError, match="of another program"):
        manager.run_jobs(make_rows(1), start_job, path)
    assert path.read_bytes() == before


def test_a_dataframe_with_other_rows_is_refused(make_manager, north, tmp_path: Path) -> None:
    manager = make_manager(north)
    manager.run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    before = (tmp_path / "jobs.csv").read_bytes()
    with pytest.raises(FrameError, match=r"df does not hold the rows that .*jobs\.sqlite holds"):
        manager.run_jobs(make_rows(3), start_job, tmp_path / "jobs.csv")
    assert (tmp_path / "jobs.csv").read_bytes() == before
    manager.run_jobs(None, start_job, tmp_path / "jobs.csv")
    manager.run_jobs(start_job=start_job, job_db=str(tmp_path / "jobs.sqlite"))
    manager.run_jobs(make_rows(2).iloc[::-1], start_job, output_file=tmp_path / "jobs.csv")
    assert len(north.requests("POST", "^/jobs$")) == 2
