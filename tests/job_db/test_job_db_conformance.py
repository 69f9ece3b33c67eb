"""What every job database does, openEO's own and ours: one suite over all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
import pytest
import shapely
from openeo.extra.job_management import (
    CsvJobDatabase,
    JobDatabaseInterface,
    MultiBackendJobManager,
    ParquetJobDatabase,
)

from openeo_jobs import SqlJobDatabase

pytestmark = pytest.mark.wheel

KINDS: dict[str, Callable[[Path], Any]] = {
    "sqlite": lambda folder: SqlJobDatabase(folder / "jobs.sqlite"),
    "csv": lambda folder: SqlJobDatabase(folder / "jobs.csv"),
    "parquet": lambda folder: SqlJobDatabase(str(folder / "jobs.parquet")),
    "openeo-csv": lambda folder: CsvJobDatabase(folder / "jobs.csv"),
    "openeo-parquet": lambda folder: ParquetJobDatabase(folder / "jobs.parquet"),
}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Make a job database over the same file, as another process would."""
    if request.param.startswith("openeo") and not hasattr(JobDatabaseInterface, "get_by_indices"):
        pytest.skip("this version of openEO has an interface that was smaller")
    return lambda: KINDS[request.param](tmp_path)


def make_frame() -> pd.DataFrame:
    return pd.DataFrame({"tile": ["a", "b", "c", "d"], "year": [2020, 2021, 2022, 2023]})


def test_it_exists_once_it_has_rows(make) -> None:
    assert not make().exists()
    job_db = make().initialize_from_df(make_frame())
    assert job_db.exists()
    assert make().exists()
    assert Path(job_db.path).exists()


def test_what_exists_is_not_initialized_again_unless_it_is_to_be_skipped(make) -> None:
    make().initialize_from_df(make_frame())
    with pytest.raises(FileExistsError):
        make().initialize_from_df(make_frame().iloc[:2])
    skipped = make().initialize_from_df(make_frame().iloc[:2], on_exists="skip")
    assert len(skipped.df) == 4


def test_frames_have_the_users_columns_then_the_documented_ones(make) -> None:
    make().initialize_from_df(make_frame())
    frame = make().read()
    assert list(frame.columns)[:2] == ["tile", "year"]
    documented = list(MultiBackendJobManager._normalize_df(make_frame()).columns)
    assert set(documented) <= set(frame.columns)
    assert frame["tile"].tolist() == ["a", "b", "c", "d"]
    assert frame["year"].tolist() == [2020, 2021, 2022, 2023]
    assert frame["status"].tolist() == ["not_started"] * 4
    assert frame["id"].isna().all()
    assert frame.index.tolist() == [0, 1, 2, 3]


def test_rows_are_found_by_status_and_by_index(make) -> None:
    make().initialize_from_df(
        make_frame().assign(id=None, status=["not_started", "skipped", "not_started", "parked"])
    )
    job_db = make()
    assert job_db.count_by_status() == {"not_started": 2, "skipped": 1, "parked": 1}
    assert job_db.count_by_status(["skipped", "running"]) == {"skipped": 1}
    assert job_db.get_by_status(["not_started"])["tile"].tolist() == ["a", "c"]
    assert job_db.get_by_status(["not_started", "parked"], max=2)["tile"].tolist() == ["a", "c"]
    assert job_db.get_by_status(["running"]).empty
    assert sorted(job_db.get_by_indices({1, 3})["tile"]) == ["b", "d"]
    assert job_db.get_by_indices([2, 77])["tile"].tolist() == ["c"]


def test_a_part_is_merged_and_another_process_reads_it(make) -> None:
    make().initialize_from_df(make_frame())
    job_db = make()
    part = job_db.get_by_status(["not_started"]).loc[1:2].copy()
    part["id"] = ["j-1", "j-2"]
    part["status"] = ["queued", "running"]
    part["backend_name"] = "north"
    part["running_start_time"] = [None, "2024-05-06T07:08:09Z"]
    job_db.persist(part)
    frame = make().read()
    assert frame["status"].tolist() == ["not_started", "queued", "running", "not_started"]
    assert frame["id"].tolist()[1:3] == ["j-1", "j-2"]
    assert frame["running_start_time"].tolist()[2] == "2024-05-06T07:08:09Z"
    assert make().count_by_status() == {"not_started": 2, "queued": 1, "running": 1}


def test_usage_of_any_name_and_costs_are_kept(make) -> None:
    make().initialize_from_df(make_frame())
    job_db = make()
    part = job_db.get_by_indices([0]).copy()
    part["id"], part["status"], part["backend_name"] = "j-1", "finished", "north"
    part["costs"] = 2.5
    part["cpu"] = "12.5 cpu-seconds"
    part["sentinelhub"] = pd.Series(["3 sentinelhub_processing_unit"], index=part.index, dtype=object)
    job_db.persist(part)
    row = make().read().iloc[0]
    assert (row["costs"], row["cpu"]) == (2.5, "12.5 cpu-seconds")
    assert row["sentinelhub"] == "3 sentinelhub_processing_unit"


def test_the_frame_is_changed_in_place_and_persisted(make) -> None:
    make().initialize_from_df(
        make_frame().assign(id=None, status=["skipped", "not_started", "skipped", "parked"])
    )
    job_db = make()
    job_db.df.loc[job_db.df["status"] == "skipped", "status"] = "not_started"
    job_db.persist(job_db.df)
    assert job_db.df["status"].tolist() == ["not_started", "not_started", "not_started", "parked"]
    assert make().count_by_status() == {"not_started": 3, "parked": 1}


def test_geometries_come_back(make) -> None:
    frame = geopandas.GeoDataFrame(make_frame(), geometry=[shapely.Point(i, i + 0.5) for i in range(4)])
    make().initialize_from_df(frame)
    read = make().read()
    assert isinstance(read, geopandas.GeoDataFrame)
    assert read.geometry.tolist() == frame.geometry.tolist()
