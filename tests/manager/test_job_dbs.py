"""What `job_db=` takes: paths, our own object, openEO's, and any other that has its interface."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import geopandas
import pandas as pd
import pytest
import shapely
from openeo.extra.job_management import CsvJobDatabase, JobDatabaseInterface, ParquetJobDatabase

from campaigning import make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager, SqlJobDatabase, create_job_db
from openeo_jobs.errors import CampaignExistsError

pytestmark = pytest.mark.wheel


class DictJobDatabase(JobDatabaseInterface):
    """A job database of a user's, in memory, that has the interface and nothing else."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, object]] = {}
        self.persisted: list[int] = []

    def exists(self) -> bool:
        return bool(self.rows)

    def persist(self, df: pd.DataFrame) -> None:
        self.persisted.append(len(df))
        for label, row in df.iterrows():
            self.rows[label] = {**self.rows.get(label, {}), **row.to_dict()}

    def count_by_status(self, statuses=()) -> dict[str, int]:
        counts = pd.Series([row["status"] for row in self.rows.values()]).value_counts().to_dict()
        return {word: n for word, n in counts.items() if not statuses or word in statuses}

    def get_by_status(self, statuses, max=None) -> pd.DataFrame:
        frame = pd.DataFrame.from_dict(self.rows, orient="index")
        return frame[frame["status"].isin(list(statuses))].head(max)

    def get_by_indices(self, indices) -> pd.DataFrame:
        return pd.DataFrame.from_dict(self.rows, orient="index").loc[list(indices)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".sqlite", ".db"])
@pytest.mark.parametrize("make", [str, Path, SqlJobDatabase])
def test_a_path_or_our_object(make_manager, north, tmp_path: Path, suffix: str, make) -> None:
    path = tmp_path / f"jobs{suffix}"
    job_db = make(path)
    make_manager(north).run_jobs(make_rows(2), start_job, job_db)
    database = path if suffix in (".sqlite", ".db") else path.with_suffix(".sqlite")
    assert query(database, "SELECT DISTINCT status FROM jobs") == [("finished",)]
    assert path.exists()
    read = SqlJobDatabase(path).df
    assert read["status"].tolist() == ["finished", "finished"]


def test_a_url(make_manager, north, tmp_path: Path) -> None:
    make_manager(north).run_jobs(make_rows(1), start_job, f"sqlite:///{tmp_path}/of a url.sqlite")
    assert query(tmp_path / "of a url.sqlite", "SELECT status FROM jobs") == [("finished",)]


@pytest.mark.parametrize("kind", [CsvJobDatabase, ParquetJobDatabase])
@pytest.mark.parametrize("is_initialized", [False, True])
def test_an_object_of_openeos_is_kept_current(
    make_manager, north, tmp_path: Path, kind, is_initialized
) -> None:
    suffix = "csv" if kind is CsvJobDatabase else "parquet"
    job_db = kind(tmp_path / f"jobs.{suffix}")
    if is_initialized:
        job_db.initialize_from_df(make_rows(3))
    seen = []

    class Watching(MultiBackendJobManager):
        def on_job_done(self, job, row):
            seen.append(job_db.df["status"].value_counts().to_dict())
            super().on_job_done(job, row)

    manager = make_manager(north, cls=Watching, parallel_jobs=1)
    manager.run_jobs(None if is_initialized else make_rows(3), start_job, job_db)
    assert job_db.df["status"].tolist() == ["finished"] * 3
    assert seen[-1].get("finished", 0) >= 1
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT results_status FROM jobs") == [("downloaded",)]
    assert list(north.truth().executions.values()) == [1, 1, 1]


def test_any_other_job_database_is_read_once_and_told_of_what_changes(
    make_manager, north, tmp_path: Path
) -> None:
    job_db = DictJobDatabase()
    make_manager(north).run_jobs(make_rows(4), start_job, job_db)
    assert job_db.count_by_status() == {"finished": 4}
    assert {row["id"] for row in job_db.rows.values()} == {one.id for one in north.truth().batch_jobs}
    assert query(tmp_path / "results" / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]
    told = len(job_db.persisted)
    make_manager(north).run_jobs(None, start_job, job_db)
    assert len(job_db.persisted) == told + 1
    assert list(north.truth().executions.values()) == [1] * 4


def test_a_subclass_that_reads_in_its_own_way_is_told_by_its_persist(
    make_manager, north, tmp_path: Path
) -> None:
    class Semicolons(CsvJobDatabase):
        def read(self) -> pd.DataFrame:
            return pd.read_csv(self.path, sep=";", dtype={"id": object, "status": object})

        def persist(self, df: pd.DataFrame) -> None:
            self._merge_into_df(df)
            self.df.to_csv(self.path, index=False, sep=";")

    job_db = Semicolons(tmp_path / "jobs.csv")
    job_db.initialize_from_df(make_rows(3))
    make_manager(north).run_jobs(None, start_job, job_db)
    assert Semicolons(tmp_path / "jobs.csv").read()["status"].tolist() == ["finished"] * 3
    assert not (tmp_path / "jobs.sqlite").exists()


def test_a_job_database_whose_persist_raises_stops_nothing(
    make_manager, north, tmp_path: Path, caplog
) -> None:
    class Broken(DictJobDatabase):
        def persist(self, df: pd.DataFrame) -> None:
            if self.rows:
                raise OSError("no space left")
            super().persist(df)

    make_manager(north).run_jobs(make_rows(2), start_job, Broken())
    assert query(tmp_path / "results" / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]
    assert caplog.text.count("was not told of the news (no space left)") == 1


def test_one_that_another_manager_has_begun_is_gone_on_with(make_manager, north, tmp_path: Path) -> None:
    job_db = DictJobDatabase()
    frame = MultiBackendJobManager._normalize_df(make_rows(3).set_index(pd.Index([10, 20, 30])))
    job_db.persist(frame.assign(status=["skipped", "parked", "not_started"]))
    make_manager(north).run_jobs(None, start_job, job_db)
    assert {label: row["status"] for label, row in job_db.rows.items()} == {
        10: "skipped",
        20: "parked",
        30: "finished",
    }


@pytest.mark.parametrize("kind", ["interface", "subclass", "in place"])
def test_failed_rows_are_restarted_through_any_job_database(
    make_manager, north, tmp_path: Path, kind: str
) -> None:
    class Noting(CsvJobDatabase):
        def persist(self, df: pd.DataFrame) -> None:
            super().persist(df)

    def refuse(**kwargs):
        raise ValueError("no")

    job_db = {"interface": DictJobDatabase, "subclass": lambda: Noting(tmp_path / "jobs.csv"),
              "in place": lambda: CsvJobDatabase(tmp_path / "jobs.csv")}[kind]()  # fmt: skip
    manager = make_manager(north)
    manager.run_jobs(make_rows(3), refuse, job_db)
    failed = job_db.get_by_status(["start_failed"]).copy()
    assert len(failed) == 3
    if kind == "in place":
        job_db.df["status"] = "not_started"
    else:
        job_db.persist(failed.assign(status="not_started"))
    manager.run_jobs(None, start_job, job_db)
    assert job_db.count_by_status() == {"finished": 3}
    assert list(north.truth().executions.values()) == [1, 1, 1]


def test_another_job_database_does_not_get_the_rows_of_the_first(make_manager, north, tmp_path: Path) -> None:
    make_manager(north).run_jobs(make_rows(2), start_job, DictJobDatabase())
    other = DictJobDatabase()
    frame = pd.DataFrame({"tile": ["X", "Y", "Z"], "year": 2020})
    other.persist(MultiBackendJobManager._normalize_df(frame))
    before = {label: dict(row) for label, row in other.rows.items()}
    with pytest.raises(CampaignExistsError, match="give MultiBackendJobManager another root_dir"):
        make_manager(north).run_jobs(None, start_job, other)
    assert other.rows == before


def test_rows_are_told_under_the_labels_of_the_job_database(make_manager, north, tmp_path: Path) -> None:
    class Noting(CsvJobDatabase):
        def persist(self, df: pd.DataFrame) -> None:
            super().persist(df)

    job_db = Noting(tmp_path / "jobs.csv")
    frame = make_rows(2).set_index(pd.Index(["p", "q"]))
    make_manager(north).run_jobs(frame, start_job, job_db)
    assert Noting(tmp_path / "jobs.csv").read()["status"].tolist() == ["finished"] * 2
    again = Noting(tmp_path / "jobs.csv")
    make_manager(north).run_jobs(None, start_job, again)
    assert again.read()["status"].tolist() == ["finished"] * 2


def test_a_column_may_be_added_during_a_run(make_manager, north, tmp_path: Path) -> None:
    job_db = create_job_db(tmp_path / "jobs.csv", make_rows(4))
    seen = []

    def start(row, connection, **kwargs):
        if not seen:
            job_db.persist(job_db.read().assign(attempt=1))
        seen.append(row.get("attempt"))
        return start_job(row, connection)

    make_manager(north, parallel_jobs=1).run_jobs(None, start, job_db)
    assert seen == [None, 1, 1, 1]
    assert job_db.count_by_status() == {"finished": 4}
    attempts = pd.read_csv(tmp_path / "jobs.csv")["attempt"]  # the row was being created: it is not changed
    assert attempts.isna().tolist() == [True, False, False, False]


def test_an_override_of_the_round_gets_a_job_database_where_a_path_was_given(
    make_manager, north, tmp_path: Path
) -> None:
    counts = []

    class Counting(MultiBackendJobManager):
        def _job_update_loop(self, job_db, start_job, stats=None):
            super()._job_update_loop(job_db=job_db, start_job=start_job, stats=stats)
            counts.append(job_db.count_by_status())

    make_manager(north, cls=Counting).run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    assert counts[-1] == {"finished": 2}


@pytest.mark.parametrize("kind", [CsvJobDatabase, ParquetJobDatabase])
@pytest.mark.parametrize("on_exists", ["error", "append"])
def test_a_dataframe_that_is_given_again_to_a_file_of_openeos_is_the_same(
    make_manager, north, tmp_path: Path, kind, on_exists: str
) -> None:
    """A script that gives `df` at every start goes on, whatever the file has made of its cells."""
    frame = geopandas.GeoDataFrame(
        {
            "tile": ["007", "NA", ""],
            "day": pd.to_datetime("2024-01-01", utc=True),
            "bands": [["B04"], ["B08", "B02"], None],
            "x": [0.1 + 0.2, 1 / 3, 1e-9],
            "small": pd.Series([0.1, 0.2, 0.3], dtype="float32"),
        },
        geometry=[shapely.Point(i / 3, i).buffer(0.1) for i in range(3)],
        crs=4326,
    )
    path = tmp_path / ("jobs.csv" if kind is CsvJobDatabase else "jobs.parquet")
    kind(path).initialize_from_df(frame)
    again = kind(path)
    again.persist(again.read())
    for _ in range(2):
        make_manager(north).run_jobs(
            frame, lambda row, connection, **kwargs: start_job(row, connection), path, on_exists=on_exists
        )
    assert query(tmp_path / "jobs.sqlite", "SELECT status, count(*) FROM jobs GROUP BY 1") == [
        ("finished", 3)
    ]


def test_importing_openeo_jobs_does_not_wait_for_openeos_manager(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, openeo_jobs.manager; sys.exit('openeo.extra.job_management' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_a_job_database_reads_a_file_of_openeos_before_any_run(tmp_path: Path) -> None:
    CsvJobDatabase(tmp_path / "jobs.csv").initialize_from_df(make_rows(2))
    job_db = SqlJobDatabase(tmp_path / "jobs.csv")
    assert job_db.exists()
    assert job_db.read()["tile"].tolist() == ["T000", "T001"]
    assert (tmp_path / "jobs.csv.before-openeo-jobs").exists()
    assert create_job_db(tmp_path / "jobs.csv", make_rows(2), on_exists="skip").count_by_status() == {
        "not_started": 2
    }


def test_an_object_that_a_hook_reads_while_its_file_is_replaced_is_current_in_the_end(
    make_manager, north, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, in_hook, read = tmp_path / "jobs.csv", threading.Event(), CsvJobDatabase.read

    def read_slowly(self):
        found, until = read(self), time.monotonic() + 10
        while in_hook.is_set() and path.read_text().count("finished") < 2 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2 if in_hook.is_set() else 0)
        return found

    class Reading(MultiBackendJobManager):
        def on_job_done(self, job, row):
            in_hook.set()
            assert len(job_db.df) == 2
            in_hook.clear()

    monkeypatch.setattr(CsvJobDatabase, "read", read_slowly)
    job_db = CsvJobDatabase(path)
    make_manager(north, cls=Reading, parallel_jobs=1).run_jobs(make_rows(2), start_job, job_db)
    assert job_db.df["status"].tolist() == ["finished"] * 2
