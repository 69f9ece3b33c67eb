"""What `persist` takes over: the cells that differ from what this object has last handed out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas
import pandas as pd
import pytest
import shapely

from campaigning import query
from openeo_jobs import SqlJobDatabase, create_job_db
from openeo_jobs.errors import DatabaseError, FrameError
from openeo_jobs.storage.store import open_store

pytestmark = pytest.mark.wheel

NOW = datetime(2024, 5, 6, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"tile": ["a", "b", "c", "d"], "year": [2020, 2021, 2022, 2023]})
    create_job_db(tmp_path / "jobs.sqlite", frame).close()
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def job_db(database: Path) -> SqlJobDatabase:
    return SqlJobDatabase(database)


def launch(job_db: SqlJobDatabase, label: int, batch_job_id: str, status: str = "queued") -> None:
    """Write a row as openEO's own manager does once it has created a batch job."""
    part = job_db.get_by_indices([label]).copy()
    part["id"], part["status"], part["backend_name"] = batch_job_id, status, "north"
    part["start_time"] = "2024-05-06T07:08:09Z"
    job_db.persist(part)


def set_status(job_db: SqlJobDatabase, label: int, status: str | None, **cells: object) -> None:
    part = job_db.get_by_indices([label]).copy()
    part["status"] = status
    for name, cell in cells.items():
        part[name] = pd.Series([cell], index=part.index, dtype=object)
    job_db.persist(part)


def test_each_try_is_an_attempt_of_its_own_with_its_batch_job(database: Path, job_db: SqlJobDatabase) -> None:
    launch(job_db, 0, "j-1")
    set_status(job_db, 0, "error", costs=3.0, cpu="5 cpu-seconds")
    set_status(job_db, 0, "not_started", id=None)
    launch(job_db, 0, "j-2")
    set_status(job_db, 0, "finished", costs=4.0)
    assert query(database, "SELECT attempt, id, costs, cpu, error_class FROM attempts ORDER BY attempt") == [
        (1, "j-1", 3.0, 5, None),
        (2, "j-2", 4.0, None, None),
    ]
    assert query(database, "SELECT old, new, actor FROM status_changes") == [
        ("not_started", "queued", "interface"),
        ("queued", "error", "interface"),
        ("error", "not_started", "interface"),
        ("not_started", "queued", "interface"),
        ("queued", "finished", "interface"),
    ]


def test_only_what_was_changed_is_written(database: Path, job_db: SqlJobDatabase) -> None:
    whole = job_db.read()
    launch(SqlJobDatabase(database), 1, "j-1", status="running")
    whole.loc[3, "status"] = "skipped"
    job_db.persist(whole)
    assert job_db.read()["status"].tolist() == ["not_started", "running", "not_started", "skipped"]
    assert job_db.read()["id"].tolist()[1] == "j-1"


def test_a_status_of_a_row_that_has_moved_is_refused_and_the_others_are_written(
    database: Path, job_db: SqlJobDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    whole = job_db.read()
    launch(SqlJobDatabase(database), 1, "j-1", status="running")
    whole["status"] = "skipped"
    job_db.persist(whole)
    assert job_db.read()["status"].tolist() == ["skipped", "running", "skipped", "skipped"]
    assert "row 2 has moved since it was read: it was 'not_started', and is 'running' now" in caplog.text


def test_a_row_that_is_being_created_is_neither_handed_out_nor_changed(
    database: Path, job_db: SqlJobDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(database) as store:
        job = store.jobs.one(2)
        with store._database.writing() as connection:
            connection.exec_driver_sql("UPDATE job SET status = 'submitting' WHERE id = 2")
        assert job is not None
    assert job_db.get_by_status(["not_started"])["tile"].tolist() == ["a", "c", "d"]
    assert job_db.count_by_status() == {"not_started": 3}
    assert job_db.read()["status"].tolist() == ["not_started"] * 4
    whole = job_db.read()
    whole["status"] = "canceled"
    job_db.persist(whole)
    assert "row 2 is being created, or it is not known yet whether it was" in caplog.text
    assert query(database, "SELECT status FROM jobs ORDER BY job") == [
        *(("canceled",), ("submitting",), ("canceled",), ("canceled",))
    ]


def test_a_status_that_is_no_status_is_kept_as_a_word_of_the_users(
    database: Path, job_db: SqlJobDatabase
) -> None:
    launch(job_db, 0, "j-1", status="running")
    set_status(job_db, 0, "downloading")
    set_status(job_db, 1, "parked")
    assert query(database, "SELECT status, user_status FROM jobs ORDER BY job")[:2] == [
        ("running", "downloading"),
        ("not_started", "parked"),
    ]
    assert job_db.count_by_status() == {"downloading": 1, "parked": 1, "not_started": 2}
    set_status(job_db, 0, "finished")
    set_status(job_db, 1, "not_started")
    assert query(database, "SELECT status, user_status FROM jobs ORDER BY job")[:2] == [
        ("finished", None),
        ("not_started", None),
    ]


def test_nothing_is_written_for_a_missing_status(database: Path, job_db: SqlJobDatabase) -> None:
    set_status(job_db, 0, None)
    assert query(database, "SELECT DISTINCT status, user_status FROM jobs") == [("not_started", None)]


def test_a_fact_can_be_cleared(job_db: SqlJobDatabase) -> None:
    launch(job_db, 0, "j-1", status="running")
    set_status(
        job_db, 0, "running", costs=3.0, cpu="5 cpu-seconds", running_start_time="2024-05-06T08:00:00Z"
    )
    set_status(job_db, 0, "running", costs=None, cpu=None, running_start_time=None)
    row = job_db.read().loc[0]
    assert row[["costs", "cpu", "running_start_time"]].isna().all()
    assert row["id"] == "j-1"


def test_a_status_that_needs_an_id_is_refused_without_one(
    database: Path, job_db: SqlJobDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    set_status(job_db, 0, "running")
    assert "row 1 cannot be 'running' without id" in caplog.text
    assert query(database, "SELECT status FROM jobs WHERE job = 1") == [("not_started",)]


def test_rows_may_come_in_any_order_and_under_other_labels(database: Path, job_db: SqlJobDatabase) -> None:
    shuffled = job_db.read().iloc[[2, 0, 3, 1]]
    shuffled.loc[shuffled["tile"] == "d", "status"] = "skipped"
    job_db.persist(shuffled)
    relabelled = job_db.read().iloc[[2, 0, 3, 1]].reset_index(drop=True)
    relabelled.loc[relabelled["tile"] == "a", "status"] = "canceled"
    job_db.persist(relabelled)
    assert job_db.read()["tile"].tolist() == ["a", "b", "c", "d"]
    assert job_db.read()["status"].tolist() == ["canceled", "not_started", "not_started", "skipped"]


@pytest.mark.parametrize("ignore_index", [False, True])
def test_rows_that_are_appended_are_added_at_the_end(
    database: Path, job_db: SqlJobDatabase, ignore_index: bool
) -> None:
    more = pd.DataFrame({"tile": ["e", "f"], "year": [2030, 2031]})
    job_db.persist(pd.concat([job_db.read(), more], ignore_index=ignore_index))
    assert job_db.read()["tile"].tolist() == ["a", "b", "c", "d", "e", "f"]
    assert job_db.read()["year"].dtype == "int64"
    assert job_db.count_by_status() == {"not_started": 6}
    job_db.persist(job_db.read())
    assert len(job_db.read()) == 6


def test_new_rows_alone_are_added_and_overwrite_nothing(job_db: SqlJobDatabase) -> None:
    job_db.persist(pd.DataFrame({"tile": ["e"], "year": [2030]}))
    assert job_db.read()["tile"].tolist() == ["a", "b", "c", "d", "e"]


def test_a_row_may_be_appended_on_its_way(database: Path, job_db: SqlJobDatabase) -> None:
    more = pd.DataFrame(
        {"tile": ["e", "f"], "year": 2030, "id": ["j-9", None], "status": ["running", "not_started"]}
    ).assign(backend_name=["north", "south"])
    job_db.persist(pd.concat([job_db.read(), more]))
    assert query(database, "SELECT tile, id, status, backend_name FROM jobs WHERE job > 4") == [
        ("e", "j-9", "running", "north"),
        ("f", None, "not_started", "south"),
    ]
    with pytest.raises(FrameError, match="row 0 is 'queued' but has no id"):
        job_db.persist(pd.DataFrame({"tile": ["g"], "year": 1, "id": None, "status": ["queued"]}))
    assert len(job_db.read()) == 6


def test_cells_and_columns_of_the_users_are_written_too(database: Path, job_db: SqlJobDatabase) -> None:
    part = job_db.get_by_indices([1]).copy()
    part["year"] = 1999
    part["attempt"] = 2
    job_db.persist(part)
    frame = SqlJobDatabase(database).read()
    assert frame["year"].tolist() == [2020, 1999, 2022, 2023]
    assert frame["attempt"].tolist()[1] == 2
    assert frame["attempt"].isna().tolist() == [True, False, True, True]
    assert query(database, "SELECT tile, attempt FROM jobs WHERE attempt IS NOT NULL") == [("b", 2.0)]


def test_a_cell_that_does_not_fit_is_refused_and_nothing_is_written(
    database: Path, job_db: SqlJobDatabase
) -> None:
    whole = job_db.read()
    whole["status"] = "skipped"
    whole["year"] = ["2020", "2021", "soon", "2023"]
    with pytest.raises(FrameError, match="column 'year', row 2: 'soon' does not fit the dtype int64"):
        job_db.persist(whole)
    assert query(database, "SELECT DISTINCT status FROM jobs") == [("not_started",)]


def test_a_backend_name_pins_a_row_that_waits(database: Path, job_db: SqlJobDatabase) -> None:
    part = job_db.get_by_indices([0, 1]).copy()
    part["backend_name"] = ["north", None]
    job_db.persist(part)
    assert query(database, "SELECT pinned_backend FROM job ORDER BY id") == [
        ("north",),
        (None,),
        (None,),
        (None,),
    ]
    set_status(job_db, 0, "not_started", backend_name=None)
    assert query(database, "SELECT count(pinned_backend) FROM job") == [(0,)]


def test_a_start_that_was_persisted_is_never_asked_for_again(database: Path, job_db: SqlJobDatabase) -> None:
    launch(job_db, 0, "j-1", status="created")
    assert query(database, "SELECT start_sent_at IS NULL FROM batch_job") == [(1,)]
    set_status(job_db, 0, "queued_for_start")
    assert query(database, "SELECT start_sent_at IS NULL FROM batch_job") == [(0,)]


def test_an_object_sees_what_others_write_but_never_loses_what_was_changed_in_place(
    database: Path, job_db: SqlJobDatabase
) -> None:
    assert job_db.df is job_db.df
    launch(SqlJobDatabase(database), 1, "j-1")
    assert job_db.df["status"].tolist()[1] == "queued"
    job_db.df.loc[3, "status"] = "skipped"
    launch(SqlJobDatabase(database), 2, "j-2")
    assert job_db.df["status"].tolist()[3] == "skipped"
    job_db.persist(job_db.df)
    assert job_db.df["status"].tolist() == ["not_started", "queued", "queued", "skipped"]


def test_what_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"jobs.sqlite does not exist yet; give it rows"):
        SqlJobDatabase(tmp_path / "jobs.sqlite").read()
    assert not list(tmp_path.iterdir())


def test_a_campaign_with_any_index_and_geometries_goes_through(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {"day": pd.to_datetime(["2024-01-01", "2024-01-02"])},
        geometry=[shapely.Point(0, 1), shapely.Point(1, 2)],
        crs=4326,
        index=pd.to_datetime(["2020-01-01", "2020-01-01"]),
    )
    job_db = create_job_db(tmp_path / "jobs.sqlite", frame)
    assert job_db.read().crs == "EPSG:4326"
    job_db.persist(job_db.read())
    set_status(job_db, 1, "skipped")
    assert job_db.read()["status"].tolist() == ["not_started", "skipped"]
    assert job_db.read()["day"].tolist() == frame["day"].tolist()
