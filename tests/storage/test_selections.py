"""Rows that somebody means: numbers, statuses, and a condition that is checked first."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage_tools import campaign_at, claim_one, dump, make_new_job

from openeo_jobs.errors import OpenEOJobsError, UsageError
from openeo_jobs.storage.store import JobStore


def find(store: JobStore, where: str) -> list[int]:
    return store.selections.find(where=where)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("tile = 'T1'", [2]),
        ("job > 3 OR tile LIKE 'T0'", [1, 4, 5]),
        ("status = 'submitting'", [1]),
        ("(job = 1) or (job = 2)", [1, 2]),
        ("tile = ')' or job = 5", [5]),
        ("job = 5 -- the last; one", [5]),
        ("job in (select max(job) from jobs)", [5]),
        ("0", []),
        ("backend_name IS NULL and costs is null", [2, 3, 4, 5]),
    ],
)
def test_a_condition_means_the_rows_for_which_it_holds(
    store: JobStore, runner_id: int, where: str, rows: list[int]
) -> None:
    claim_one(store, runner_id)
    assert find(store, where) == rows


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("yeer = 2020", "no such column: yeer"),
        ("tile = ", "syntax error"),
        ("", "it is no condition"),
        ("   ", "it is no condition"),
        ("1) OR (1", "it is no condition"),
        ("1; DELETE FROM job", "it is no condition"),
        ("1) UNION SELECT 1 --", "it is no condition"),
        ("tile = ?", "bindings"),
        ("count(*) > 1", "misuse of aggregate"),
        ("tile = 'T1", "unrecognized token"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_columns_that_there_are(
    store: JobStore, path: Path, where: str, reason: str
) -> None:
    before = dump(path)
    with pytest.raises(UsageError) as refusal:
        find(store, where)
    assert reason in str(refusal.value)
    assert "its columns: job, tile, id, backend_name, status," in str(refusal.value)
    assert dump(path) == before


def test_columns_with_odd_names_can_be_used_and_are_quoted(path: Path) -> None:
    with campaign_at(path, [make_new_job(1, 2)], columns=['say "hi"', "a (b"]) as store:
        assert find(store, '"say ""hi""" = 1 AND "a (b" = 2') == [1]
        with pytest.raises(UsageError, match=r'its columns: job, "say ""hi""", "a \(b", id'):
            find(store, "hi = 1")


def test_rows_statuses_and_a_condition_add_up(store: JobStore, runner_id: int) -> None:
    claim_one(store, runner_id)
    chosen = store.selections.find(rows=[3], statuses=["submitting"], where="job = 5")
    assert chosen == [1, 3, 5]


def test_a_row_that_does_not_exist_is_refused(store: JobStore) -> None:
    with pytest.raises(OpenEOJobsError, match="there is no row 6; rows are numbered from 1"):
        store.selections.find(rows=[1, 6])
