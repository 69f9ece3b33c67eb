"""Rows are added to a campaign, or changed in it, by the dataframe of a later call."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from campaigning import make_rows, query, start_job
from openeo_jobs import SqlJobDatabase, create_job_db
from openeo_jobs.campaign.beginning import Given, add_rows
from openeo_jobs.errors import CampaignExistsError, FrameError
from openeo_jobs.storage.store import open_store

pytestmark = pytest.mark.wheel


def rows_of(folder: Path) -> list[tuple]:
    return query(folder / "jobs.sqlite", "SELECT job, tile, year, status FROM jobs ORDER BY job")


def test_new_rows_run_and_the_others_are_left_alone(make_manager, north, tmp_path: Path) -> None:
    csv = tmp_path / "jobs.csv"
    make_manager(north).run_jobs(make_rows(2), start_job, csv)
    manager = make_manager(north)
    manager.run_jobs(make_rows(3), start_job, csv, on_exists="append")
    manager.run_jobs(make_rows(3).iloc[::-1], start_job, csv, on_exists="append")
    assert rows_of(tmp_path) == [(i + 1, f"T{i:03}", 2020, "finished") for i in range(3)]
    assert list(north.truth().executions.values()) == [1, 1, 1]
    assert len(pd.read_csv(csv)) == 3


def test_a_row_keeps_its_label(make_manager, north, tmp_path: Path) -> None:
    seen = []

    def note(row, **kwargs):
        seen.append((row.name, type(row.year), row.tile))

    make_manager(north).run_jobs(make_rows(1), note, tmp_path / "jobs.csv")
    more = pd.DataFrame({"year": [2021.0], "tile": ["new"]}, index=[5])
    make_manager(north).run_jobs(more, note, tmp_path / "jobs.csv", on_exists="append")
    assert seen == [(0, int, "T000"), (5, int, "new")]


@pytest.mark.parametrize(
    ("on_exists", "df", "expected"),
    [
        ("append", [("T000", 1999), ("T009", 1999)], [("T000", 2020), ("T001", 2020), ("T009", 1999)]),
        ("update", [("T000", 1999), ("T009", 1999)], [("T000", 1999), ("T001", 2020), ("T009", 1999)]),
        ("skip", [("T000", 1999), ("T009", 1999)], [("T000", 2020), ("T001", 2020)]),
    ],
)
def test_what_becomes_of_rows_with_a_key_that_is_there(tmp_path: Path, on_exists, df, expected) -> None:
    create_job_db(tmp_path / "jobs.sqlite", make_rows(2)).close()
    more = pd.DataFrame(df, columns=["tile", "year"])
    create_job_db(tmp_path / "jobs.sqlite", more, on_exists=on_exists, key=["tile"]).close()
    assert [row[1:3] for row in rows_of(tmp_path)] == expected


def test_other_rows_are_refused_unless_told(tmp_path: Path) -> None:
    create_job_db(tmp_path / "jobs.sqlite", make_rows(2)).close()
    create_job_db(tmp_path / "jobs.sqlite", make_rows(2)).close()
    with pytest.raises(
        CampaignExistsError, match=r"1 of its rows are not in the campaign.*on_exists=\"append\""
    ):
        create_job_db(tmp_path / "jobs.sqlite", make_rows(3))
    with pytest.raises(FileExistsError, match=r"1 of the campaign's rows are not in it"):
        create_job_db(tmp_path / "jobs.sqlite", make_rows(1))
    assert len(rows_of(tmp_path)) == 2


def test_a_row_that_was_computed_keeps_its_cells(make_manager, north, tmp_path: Path, caplog) -> None:
    csv = tmp_path / "jobs.csv"
    make_manager(north).run_jobs(make_rows(2), start_job, csv)
    changed = make_rows(2).assign(year=[2020, 1999])
    make_manager(north).run_jobs(changed, start_job, csv, on_exists="update", key="tile")
    assert "1 rows keep their cells, such as row 2: they are under way or finished" in caplog.text
    assert rows_of(tmp_path)[1] == (2, "T001", 2020, "finished")


def test_a_failed_row_runs_again_with_its_new_cells(make_manager, north, tmp_path: Path) -> None:
    csv = tmp_path / "jobs.csv"

    def fail_before_2020(row, connection, **kwargs):
        if row.year < 2020:
            raise ValueError("too old")
        return start_job(row, connection)

    manager = make_manager(north)
    manager.run_jobs(make_rows(2).assign(year=[2020, 1999]), fail_before_2020, csv)
    manager.run_jobs(make_rows(2), fail_before_2020, csv, on_exists="update", key=["tile"])
    assert rows_of(tmp_path)[1] == (2, "T001", 2020, "start_failed")
    frame = pd.read_csv(csv, dtype=str)
    frame.loc[frame["status"] == "start_failed", "status"] = "not_started"
    frame.to_csv(csv, index=False)
    manager.run_jobs(None, fail_before_2020, csv)
    assert rows_of(tmp_path)[1] == (2, "T001", 2020, "finished")


def test_new_columns_are_appended_for_every_row(tmp_path: Path) -> None:
    create_job_db(tmp_path / "jobs.sqlite", make_rows(2)).close()
    more = make_rows(3).assign(priority=[3, 2, 1])
    job_db = create_job_db(tmp_path / "jobs.sqlite", more, on_exists="update", key=["tile", "year"])
    assert job_db.read()["priority"].tolist() == [3, 2, 1]
    assert query(tmp_path / "jobs.sqlite", "SELECT priority FROM job ORDER BY id") == [(3.0,), (2.0,), (1.0,)]


def test_rows_that_do_not_fit_are_refused_by_name_and_nothing_is_added(tmp_path: Path) -> None:
    create_job_db(tmp_path / "jobs.sqlite", make_rows(2)).close()
    bad = pd.DataFrame({"tile": ["a", "b"], "year": ["2021", "next"]})
    with pytest.raises(FrameError, match=r"column 'year', row 1: 'next' does not fit the dtype int64"):
        create_job_db(tmp_path / "jobs.sqlite", bad, on_exists="append")
    assert len(rows_of(tmp_path)) == 2


def test_a_pin_that_is_given_later_is_obeyed(make_manager, north, south, tmp_path: Path) -> None:
    database = tmp_path / "jobs.sqlite"
    create_job_db(database, make_rows(2)).close()
    pinned = make_rows(2).assign(backend_name="south")
    make_manager(north, south).run_jobs(pinned, start_job, database, on_exists="update")
    assert query(database, "SELECT DISTINCT backend_name FROM jobs") == [("south",)]


def test_a_frame_that_was_read_is_the_same_and_keeps_the_pins(make_manager, north, tmp_path: Path) -> None:
    database = tmp_path / "jobs.sqlite"
    create_job_db(database, make_rows(3).assign(backend_name=["north", "south", "south"])).close()
    make_manager(north).run_jobs(None, start_job, database)
    read = SqlJobDatabase(database).read()
    for on_exists in ("error", "update"):
        create_job_db(database, read, on_exists=on_exists).close()
    assert query(database, "SELECT pinned_backend FROM job ORDER BY id") == [
        ("north",),
        ("south",),
        ("south",),
    ]


def test_a_row_that_is_claimed_meanwhile_keeps_its_cells(tmp_path: Path, monkeypatch, caplog) -> None:
    database = tmp_path / "jobs.sqlite"
    create_job_db(database, make_rows(2)).close()
    with open_store(database) as store:
        merge = store.campaigns.merge

        def claim_first(*args, **kwargs):
            with store._database.writing() as connection:
                connection.exec_driver_sql("UPDATE job SET status = 'submitting' WHERE id = 1")
            return merge(*args, **kwargs)

        monkeypatch.setattr(store.campaigns, "merge", claim_first)
        given = Given(df=make_rows(2).assign(year=1900), on_exists="update", key=["tile"])
        add_rows(store, store.campaigns.load(), given, at=store.campaigns.load().created_at)
    assert [row[2] for row in rows_of(tmp_path)] == [2020, 1900]
    assert "1 rows keep their cells, such as row 1" in caplog.text
