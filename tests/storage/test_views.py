"""The public views: their columns, the user's columns, tagged values."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from storage_lifecycle import finish_one
from storage_tools import (
    FAILURE,
    begin_runner,
    campaign_at,
    claim_one,
    make_new_job,
    make_tiles,
    run_sql,
    seconds,
)

from openeo_jobs.storage.store import JobStore

COLUMNS = {
    "jobs": "job tile id backend_name status start_time running_start_time cpu memory duration costs"
    " user_status results_status",
    "attempts": "job attempt backend_name account id began_at start_time running_start_time ended_at"
    " backend_status error_class error_message error_http_status error_code error_at costs currency cpu"
    " cpu_unit memory memory_unit duration duration_unit usage backend_created_at backend_queued_at"
    " backend_started_at backend_ended_at cancel_error hook_returned_at hook_tries hook_error",
    "batch_jobs": (
        "job attempt backend_name id tag sent_at ended_at outcome start_sent_at chosen found_at seen_status "
        "settled_as settled_at"
    ),
    "status_changes": "job attempt at old new actor reason",
    "assets": "job attempt name media_type size checksum path state downloaded_at error",
    "costs": "backend_name currency attempts rows costs costs_of_failed_attempts attempts_without_costs",
    "failures": "message error_class rows backend_names first_at last_at first_job costs",
}
ODD_NAMES = [
    *('say "hi"', "100%", "%s", "a.b", "größe 調", "[x]", "select", "a'b", "`t`", "two words", "a,b"),
    *(":p", "?", "{x}", "$", "--", "/*", "\\", "x\ny", " ", "job_id", "row", "TABLE"),
]


def columns_of(path: Path, view: str) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for name, *_ in connection.execute(f"SELECT * FROM {view}").description]


@pytest.mark.parametrize("view", COLUMNS)
def test_a_view_has_the_documented_columns(store: JobStore, path: Path, view: str) -> None:
    assert columns_of(path, view) == COLUMNS[view].split()


def test_there_are_no_other_views(store: JobStore, path: Path) -> None:
    names = run_sql(path, "SELECT name FROM sqlite_master WHERE type = 'view'")

    assert {name for (name,) in names} == set(COLUMNS)


@pytest.mark.parametrize("view", COLUMNS)
def test_every_view_can_be_read_after_a_whole_life(lived: Path, view: str) -> None:
    assert run_sql(lived, f"SELECT * FROM {view}") != []


def test_any_name_of_a_column_will_do(path: Path) -> None:
    with campaign_at(path, [make_new_job(*range(len(ODD_NAMES)))], columns=ODD_NAMES):
        pass

    assert columns_of(path, "jobs")[1 : len(ODD_NAMES) + 1] == ODD_NAMES
    (row,) = run_sql(path, "SELECT * FROM jobs")
    assert row[1 : len(ODD_NAMES) + 1] == tuple(range(len(ODD_NAMES)))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_column_can_be_asked_for_by_its_name(path: Path, name: str) -> None:
    with campaign_at(path, [make_new_job("here")], columns=[name]):
        pass

    quoted = name.replace('"', '""')
    assert run_sql(path, f'SELECT "{quoted}" FROM jobs') == [("here",)]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("text", "text"),
        ("", ""),
        (1, 1),
        (1.5, 1.5),
        (2**62, 2**62),
        (None, None),
        (True, 1),
        ([1, 2], "[1,2]"),
        ({"a": 1}, '{"a":1}'),
        ({"$": "float", "text": None, "value": "nan"}, None),
        ({"$": "float", "text": "inf", "value": "inf"}, "inf"),
        ({"$": "datetime64[ns]", "text": "2024-01-31T00:00:00Z", "value": 1706659200000000000},
         "2024-01-31T00:00:00Z"),
        ({"$": "geometry"}, None),
    ],
)  # fmt: skip
def test_a_view_shows_plain_values_and_the_text_of_tagged_ones(path: Path, cell: Any, shown: Any) -> None:
    with campaign_at(path, [make_new_job("first", cell, "last")], columns=["a", "b", "c"]):
        pass

    assert run_sql(path, "SELECT a, b, c FROM jobs") == [("first", shown, "last")]


def test_view_jobs_shows_the_latest_attempt(store: JobStore, runner_id: int, path: Path) -> None:
    finish_one(store, runner_id, "j-1")

    expected = (1, "T0", "j-1", "north", "finished", "2024-01-31T12:00:00.000Z", "2024-01-31T12:01:00.000Z",
                "3 cpu-seconds", None, None, 1.5, None, "pending")  # fmt: skip
    assert run_sql(path, "SELECT * FROM jobs WHERE job = 1") == [expected]


def test_view_jobs_shows_the_backend_that_its_user_chose(path: Path) -> None:
    with campaign_at(path, make_tiles(1, pinned_backend="south")):
        pass

    assert run_sql(path, "SELECT backend_name FROM jobs") == [("south",)]


def test_a_failed_attempt_keeps_its_costs(store: JobStore, runner_id: int, path: Path) -> None:
    job = finish_one(store, runner_id, "j-1")
    store.endings.record_failure(job, FAILURE)
    run_sql(path, "UPDATE job SET status = 'not_started' WHERE id = 1")
    finish_one(store, runner_id, "j-2")

    assert run_sql(path, "SELECT attempt, id, costs FROM attempts") == [(1, "j-1", 1.5), (2, "j-2", 1.5)]
    assert run_sql(path, "SELECT attempts, rows, costs, costs_of_failed_attempts FROM costs") == [
        (2, 1, 3.0, 1.5)
    ]


def test_view_failures_groups_by_message(path: Path) -> None:
    with campaign_at(path, make_tiles(5)) as store:
        runner_id = begin_runner(store)
        for backend_name in ("north", "south", "north"):
            job = claim_one(store, runner_id, backend_name)
            store.creations.fail(job, FAILURE, at=seconds(1))

    ((message, error_class, rows, names, *_),) = run_sql(path, "SELECT * FROM failures")
    assert (message, error_class, rows) == (FAILURE.key, "permanent", 3)
    assert set(names.split(",")) == {"north", "south"}


def test_a_campaign_without_rows_has_views(path: Path) -> None:
    with campaign_at(path, []) as store:
        assert store.jobs.all() == []

    assert columns_of(path, "jobs") == COLUMNS["jobs"].split()
