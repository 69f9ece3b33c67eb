"""What `persist` takes over: the cells that differ from what this object has last handed out."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from campaigning import query
from openeo_jobs import SqlJobDatabase, create_job_db
from openeo_jobs.errors import DatabaseError, FrameError, UsageError
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


@pytest.mark.parametrize("year", [2020, 2030])
def test_new_rows_alone_are_added_and_overwrite_nothing(job_db: SqlJobDatabase, year: int) -> None:
    job_db.persist(pd.DataFrame({"tile": ["e"], "year": [year]}))
    assert job_db.read()["tile"].tolist() == ["a", "b", "c", "d", "e"]
    job_db.persist(pd.DataFrame({"tile": ["e", "a"], "year": [year, 2020]}))
    assert len(job_db.read()) == 5


def test_rows_that_come_back_twice_are_refused(job_db: SqlJobDatabase) -> None:
    whole = job_db.read()
    with pytest.raises(FrameError, match="row 0 is there twice"):
        job_db.persist(pd.concat([whole, whole]))
    assert len(job_db.read()) == 4


def test_a_frame_that_was_read_before_is_held_against_what_it_showed(
    database: Path, job_db: SqlJobDatabase, caplog
) -> None:
    other = SqlJobDatabase(database)
    before, in_place = job_db.read(), job_db.df
    for label in range(3):
        launch(other, label, f"j-{label}", status="running")
    job_db.get_by_status(["running"])
    in_place.loc[3, "status"] = before.loc[3, "status"] = "skipped"
    job_db.persist(before)
    job_db.persist(in_place)
    assert job_db.read()["status"].tolist() == ["running"] * 3 + ["skipped"]
    before["status"] = "canceled"
    job_db.persist(before)
    assert job_db.read()["status"].tolist() == ["running"] * 3 + ["canceled"]
    assert caplog.text.count("has moved since it was read") == 3
    job_db.persist(before)
    assert job_db.read()["status"].tolist() == ["running"] * 3 + ["canceled"]


def test_a_frame_of_unknown_age_that_reads_as_it_was_before_is_refused(
    database: Path, job_db: SqlJobDatabase, caplog
) -> None:
    csv = job_db.read().to_csv(index=False)
    launch(SqlJobDatabase(database), 1, "j-1", status="running")
    job_db.read()
    from_a_file = pd.read_csv(StringIO(csv))
    from_a_file.loc[3, "status"] = "skipped"
    job_db.persist(from_a_file)
    assert job_db.read()["status"].tolist() == ["not_started", "running", "not_started", "skipped"]
    assert "row 2 has moved since it was read" in caplog.text


@pytest.mark.parametrize("column", ["costs", "cpu", "start_time", "running_start_time"])
def test_a_fact_is_written_without_the_status_that_was_read_with_it(
    database: Path, job_db: SqlJobDatabase, column: str
) -> None:
    launch(job_db, 0, "j-1", status="running")
    part = job_db.get_by_indices([0]).copy()
    set_status(SqlJobDatabase(database), 0, "finished")
    cell = {"costs": 2.5, "cpu": "3 cpu-seconds"}.get(column, "2024-05-06T09:00:00Z")
    part[column] = pd.Series([cell], index=part.index, dtype=object)
    job_db.persist(part)
    row = job_db.read().loc[0]
    assert (row["status"], row[column]) == ("finished", cell)


def test_a_refused_row_keeps_its_cells_and_its_pin(database: Path, job_db: SqlJobDatabase, caplog) -> None:
    part = job_db.get_by_indices([0, 1]).copy()
    with open_store(database) as store, store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE job SET status = 'submitting' WHERE id = 1")
    launch(SqlJobDatabase(database), 1, "j-1", status="running")
    part["year"], part["backend_name"], part["status"] = 1900, "south", ["not_started", "skipped"]
    job_db.persist(part)
    assert query(database, "SELECT year, status, backend_name FROM jobs ORDER BY job")[:2] == [
        (2020, "submitting", None),
        (2021, "running", "north"),
    ]
    assert "row 1 is being created" in caplog.text
    assert "row 2 has moved" in caplog.text


def test_two_who_write_other_cells_of_a_row_lose_nothing(tmp_path: Path) -> None:
    database = tmp_path / "jobs.sqlite"
    create_job_db(database, pd.DataFrame({"tile": ["a"], "x": [1], "y": [1]})).close()
    first, second = SqlJobDatabase(database), SqlJobDatabase(database)
    one, other = first.read(), second.read()
    other["y"], other["backend_name"] = 100, "south"
    second.persist(other)
    one["x"] = 50
    first.persist(one)
    assert query(database, "SELECT x, y, backend_name FROM jobs") == [(50, 100, "south")]


def test_a_frame_from_before_a_column_was_added_is_persisted(database: Path, job_db: SqlJobDatabase) -> None:
    before = job_db.read()
    other = SqlJobDatabase(database)
    other.persist(other.read().assign(attempt=[1, 2, 3, 4]))
    before.loc[0, "status"] = "skipped"
    job_db.persist(before)
    assert job_db.read()["attempt"].tolist() == [1, 2, 3, 4]
    assert job_db.read()["status"].tolist()[0] == "skipped"


def test_a_frame_is_persisted_again_and_again(job_db: SqlJobDatabase, caplog) -> None:
    for status in ("skipped", "canceled", "not_started"):
        job_db.df.loc[0, "status"] = status
        job_db.persist(job_db.df)
        assert job_db.read()["status"][0] == status
    job_db.df.loc[0, "year"] = 1900
    job_db.persist(job_db.df)
    part = job_db.get_by_indices([0]).assign(year=1901)
    job_db.persist(part)
    job_db.df.loc[1, "year"] = 1902
    job_db.persist(job_db.df)
    assert job_db.read()["year"].tolist() == [1901, 1902, 2022, 2023]
    assert caplog.text == ""


def test_a_cell_of_a_campaign_of_one_column_is_changed_in_place(tmp_path: Path) -> None:
    job_db = create_job_db(tmp_path / "jobs.sqlite", pd.DataFrame({"tile": ["a", "b"]}))
    job_db.df.loc[0, "tile"] = "x"
    job_db.persist(job_db.df)
    assert job_db.read()["tile"].tolist() == ["x", "b"]


def test_rows_that_are_alike_go_through_without_their_index(tmp_path: Path) -> None:
    job_db = create_job_db(tmp_path / "jobs.sqlite", pd.DataFrame({"tile": [*"abcdd"]}))
    launch(job_db, 0, "j-1", status="running")
    job_db.persist(job_db.read().iloc[::-1].reset_index(drop=True))
    assert query(tmp_path / "jobs.sqlite", "SELECT tile, status FROM jobs ORDER BY job") == [
        *(("a", "running"), ("b", "not_started"), ("c", "not_started")),
        *(("d", "not_started"), ("d", "not_started")),
    ]


def test_what_a_csv_makes_of_the_cells_is_no_change_of_them(tmp_path: Path) -> None:
    frame = pd.DataFrame({"tile": ["007", "008"], "x": [0.1 + 0.2, 1.0], "land": ["NA", "DE"]})
    job_db = create_job_db(tmp_path / "jobs.csv", frame)
    read = pd.read_csv(tmp_path / "jobs.csv")
    read.loc[0, "status"] = "skipped"
    job_db.persist(read)
    assert query(tmp_path / "jobs.sqlite", "SELECT tile, x, land, status FROM jobs ORDER BY job") == [
        ("007", 0.1 + 0.2, "NA", "skipped"),
        ("008", 1.0, "DE", "not_started"),
    ]


def test_a_priority_that_is_written_counts(database: Path, job_db: SqlJobDatabase) -> None:
    job_db.persist(job_db.read().assign(priority=[1, 2, 3, 4]))
    assert query(database, "SELECT priority FROM job ORDER BY id") == [(1.0,), (2.0,), (3.0,), (4.0,)]
    job_db.persist(job_db.read().assign(priority=0))
    assert query(database, "SELECT DISTINCT priority FROM job") == [(0.0,)]


def test_labels_and_ids_may_be_numbers_of_any_kind(database: Path, job_db: SqlJobDatabase) -> None:
    assert job_db.get_by_indices(np.array([0, 2]))["tile"].tolist() == ["a", "c"]
    part = job_db.get_by_indices([1.0]).copy()
    part["id"], part["status"], part["backend_name"] = 123.0, "running", "north"
    job_db.persist(part)
    assert query(database, "SELECT id FROM jobs WHERE tile = 'b'") == [("123",)]
    with pytest.raises(UsageError, match="statuses is a list of words"):
        job_db.get_by_status("running")


def test_a_row_may_be_appended_on_its_way(database: Path, job_db: SqlJobDatabase) -> None:
    more = pd.DataFrame(
        {"tile": ["e", "f"], "year": 2030, "id": ["j-9", None], "status": ["running", "not_started"]}
    ).assign(backend_name=["north", "south"])
    job_db.persist(pd.concat([job_db.read(), more]))
    assert query(database, "SELECT tile, id, status, backend_name FROM jobs WHERE job > 4") == [
        ("e", "j-9", "running", "north"),
        ("f", None, "not_started", "south"),
    ]
    with pytest.raises(FrameError, match="row 7 is 'queued' but has no id"):
        job_db.persist(pd.DataFrame({"tile": ["g"], "year": 1, "id": None, "status": ["queued"]}, index=[7]))
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
    more = frame.iloc[:1].assign(day=pd.Timestamp("2025-01-01")).reset_index(drop=True)
    job_db.persist(pd.concat([job_db.read(), more], ignore_index=True))
    assert job_db.read()["status"].tolist() == ["not_started", "skipped", "not_started"]
    job_db.persist(job_db.read().iloc[:2])
    assert job_db.read()["day"].tolist()[:2] == frame["day"].tolist()
