"""A `backend_name` that the user set is obeyed; `priority` says which rows come first."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigning import make_rows, query, start_job
from openeo_jobs.errors import UsageError

pytestmark = pytest.mark.wheel


def test_a_pinned_row_goes_where_it_is_pinned_and_the_others_where_most_slots_are_free(
    make_manager, north, south, tmp_path: Path
) -> None:
    frame = make_rows(12).assign(backend_name=["south"] * 4 + [None] * 8)
    manager = make_manager(north, south)
    manager.add_backend("south", manager.backends["south"].get_connection, parallel_jobs=1)
    manager.run_jobs(frame, start_job, tmp_path / "jobs.csv")
    rows = query(tmp_path / "jobs.sqlite", "SELECT backend_name FROM jobs ORDER BY job")
    assert rows[:4] == [("south",)] * 4
    assert rows[4:7] == [("north",)] * 3
    assert south.truth().peak_parallel == 1


def test_rows_pinned_to_a_backend_that_is_not_registered_stay_and_are_told_of_once(
    make_manager, north, tmp_path: Path, caplog
) -> None:
    frame = make_rows(3).assign(backend_name=["elsewhere", None, "elsewhere"])
    make_manager(north).run_jobs(frame, start_job, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT status, backend_name FROM jobs ORDER BY job") == [
        *(("not_started", "elsewhere"), ("finished", "north"), ("not_started", "elsewhere"))
    ]
    assert caplog.text.count("2 rows wait for backends that are not here: 2 for 'elsewhere'") == 1


def test_a_new_campaign_of_which_no_row_can_run_is_refused_before_anything_is_made(
    make_manager, north, south, tmp_path: Path
) -> None:
    frame = make_rows(2).assign(backend_name=["elsewhere", "nowhere"])
    with pytest.raises(UsageError, match=r"says 'elsewhere', 'nowhere', and registered are 'north', 'south'"):
        make_manager(north, south).run_jobs(frame, start_job, tmp_path / "jobs.csv")
    assert not (tmp_path / "jobs.sqlite").exists()


def test_a_campaign_of_which_no_row_can_go_on_is_refused(make_manager, north, south, tmp_path: Path) -> None:
    frame = make_rows(2).assign(backend_name=["south", "north"])
    make_manager(north).run_jobs(frame, start_job, tmp_path / "jobs.csv")
    with pytest.raises(UsageError, match=r"1 for 'south'; registered are 'north'; add_backend"):
        make_manager(north).run_jobs(None, start_job, tmp_path / "jobs.csv")
    make_manager(south).run_jobs(None, start_job, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]


def test_a_higher_priority_comes_first(make_manager, north, tmp_path: Path) -> None:
    order: list[str] = []

    def note(row, connection, **kwargs):
        order.append(row.tile)

    frame = make_rows(5).assign(priority=[0, 5, None, 9.5, 5])
    make_manager(north).run_jobs(frame, note, tmp_path / "jobs.csv")
    assert order == ["T003", "T001", "T004", "T000", "T002"]
