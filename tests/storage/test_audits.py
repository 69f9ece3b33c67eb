"""What the database says of itself: rows without a way on, and what should not be."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from storage_tools import (
    NOW,
    begin_runner,
    campaign_at,
    claim_one,
    create_one,
    is_dead,
    make_runner,
    make_tiles,
    run_sql,
    take_over,
)

from openeo_jobs.storage.store import open_store


def test_a_campaign_in_any_ordinary_state_has_a_way_on(path: Path) -> None:
    with campaign_at(path, make_tiles(3)) as store:
        runner_id = begin_runner(store)
        create_one(store, runner_id, "j-1")
        claim_one(store, runner_id)
        facts = store.audits.facts()
    assert (facts.stuck, facts.waiting, facts.misplaced, facts.unknown) == ([], [], [], [])
    assert (facts.corruptions, facts.broken_references, facts.shared) == ([], 0, {})
    assert (facts.rows, facts.attempts, facts.batch_jobs) == (3, 2, 1)


def test_a_row_that_is_being_submitted_without_an_attempt_has_no_way_on(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        row = claim_one(store, begin_runner(store)).number
    run_sql(path, f"UPDATE job SET attempt_id = NULL WHERE id = {row}")
    with open_store(path) as store:
        assert store.audits.facts().stuck == [row]


@pytest.mark.parametrize(
    "sql",
    ["UPDATE job SET owner_id = NULL WHERE id = 1", "UPDATE runner SET ended_at = heartbeat_at"],
    ids=["of nobody", "of a dead runner"],
)
def test_a_row_on_which_nobody_acts_has_a_way_on_because_the_next_run_takes_it(path: Path, sql: str) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        claim_one(store, begin_runner(store))
    run_sql(path, sql)
    with open_store(path) as store:
        assert store.audits.facts().stuck == []
        runner_id = store.runners.begin(make_runner(), is_dead=is_dead, at=NOW)
        assert take_over(store, runner_id) == 1


def test_a_row_under_way_without_a_batch_job_has_no_way_on(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        row = create_one(store, begin_runner(store), "j-1").number
    run_sql(path, "UPDATE attempt SET chosen_id = NULL")
    with open_store(path) as store:
        assert store.audits.facts().stuck == [row]


def test_a_row_at_the_attempt_of_another_is_told(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        runner_id = begin_runner(store)
        rows = [claim_one(store, runner_id).number, claim_one(store, runner_id).number]
    run_sql(path, f"UPDATE job SET attempt_id = (SELECT max(id) FROM attempt) WHERE id = {rows[0]}")
    with open_store(path) as store:
        assert store.audits.facts().misplaced == rows[:1]


def test_rows_of_unknown_creation_and_requests_without_a_tag_are_told(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        job = claim_one(store, begin_runner(store))
        name = str(job.backend_name)
        store.creations.record_intent(job, backend_name=name, fingerprint="f", tag=None, at=NOW)
        assert store.audits.facts().unknown == [job.number]
        assert store.audits.count_untagged(name) == 1


def test_a_batch_job_of_two_rows_is_told(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        runner_id = begin_runner(store)
        for job in (claim_one(store, runner_id), claim_one(store, runner_id)):
            store.creations.choose(job, backend_name=str(job.backend_name), batch_job_id="j-1", at=NOW)
        assert store.audits.facts().shared == {"j-1": [1, 2]}


def test_a_reference_to_nowhere_and_a_broken_constraint_are_told(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        create_one(store, begin_runner(store), "j-1")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        connection.execute("UPDATE batch_job SET outcome = 'odd'")
        connection.execute("UPDATE job SET owner_id = 99 WHERE id = 2")
    with open_store(path) as store:
        facts = store.audits.facts()
    assert facts.broken_references == 1
    assert facts.corruptions == ["CHECK constraint failed in batch_job"]


def test_a_row_that_waits_for_a_person_has_that_way_on(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        job = claim_one(store, begin_runner(store))
        store.creations.ask_person(job, reason="two batch jobs have its tag", at=NOW)
    run_sql(path, "UPDATE job SET owner_id = NULL")
    with open_store(path) as store:
        facts = store.audits.facts()
    assert (facts.stuck, facts.waiting) == ([], [job.number])
