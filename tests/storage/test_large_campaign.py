"""A campaign with 100,000 rows: what is asked every round reads no more than it has to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from storage_tools import (
    NOW,
    begin_runner,
    campaign_at,
    claim_one,
    create_one,
    run_sql,
    take_over,
    watched_statements,
)

from openeo_jobs.storage.store import JobStore, open_store

ROWS = 100_000
QUESTIONS: dict[str, Callable[[JobStore], object]] = {
    "claim": lambda store: claim_one(store, 1),
    "work_left": lambda store: store.jobs.work_left(["north", "south"], runner_id=1),
    "polled": lambda store: store.jobs.polled(["north"], runner_id=1),
    "unresolved": lambda store: store.creations.unresolved(1),
    "open": lambda store: store.endings.open(1),
    "unfetched": lambda store: store.endings.unfetched(1, ["north"], at=NOW, besides={1}, limit=9),
    "take_over": lambda store: take_over(store, 1),
    "one": lambda store: store.jobs.one(77),
    "history": lambda store: store.jobs.history(77),
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a campaign of which 50,000 rows wait for a backend that is full, and 49,990 are complete."""
    path = tmp_path_factory.mktemp("large") / "jobs.sqlite"
    with campaign_at(path, []) as store:
        begin_runner(store)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO job (position, index_label, params, status_since, pinned_backend)"
            " VALUES (?, '0', '[1]', '2024-01-31T12:00:00.000Z', ?)",
            [(n, "full" if n < ROWS // 2 else None) for n in range(ROWS)],
        )
        connection.execute(
            "INSERT INTO attempt (job_id, number, backend_id, began_at, hook_returned_at)"
            " SELECT id, 1, 1, 'x', 'x' FROM job WHERE id BETWEEN 50001 AND 99990"
        )
        connection.execute(
            "UPDATE job SET status = 'finished', change_actor = 'interface', results_status = 'downloaded',"
            " attempt_id = (SELECT attempt.id FROM attempt WHERE attempt.job_id = job.id)"
            " WHERE id BETWEEN 50001 AND 99990"
        )
    return path


@pytest.fixture
def large_store(large: Path) -> Iterator[JobStore]:
    with open_store(large) as store:
        yield store


@contextmanager
def counted_steps() -> Iterator[list[int]]:
    """Count the steps of SQLite's machine, in thousands, of connections that are opened meanwhile."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    def watch(connection: sqlite3.Connection, _record: Any) -> None:
        connection.set_progress_handler(count, 1000)

    sa.event.listen(sa.Engine, "connect", watch)
    try:
        yield steps
    finally:
        sa.event.remove(sa.Engine, "connect", watch)


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_of_a_round_scans_a_table(large: Path, large_store: JobStore, question: str) -> None:
    with watched_statements() as seen:
        QUESTIONS[question](large_store)

    selects = [each for each in seen if each[0].startswith(("SELECT", "UPDATE"))]
    assert selects
    with closing(sqlite3.connect(large)) as connection:
        for statement, parameters in selects:
            plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            scanned = [step for step in plan if step.startswith("SCAN") and "backend" not in step]
            assert [step for step in scanned if "CONSTANT ROW" not in step] == [], statement


def test_a_claim_finds_its_row_by_the_index_and_sorts_nothing(large: Path, large_store: JobStore) -> None:
    with watched_statements() as seen:
        claim_one(large_store, 1)

    waiting = [each for each in seen if "ORDER BY job.priority DESC" in each[0] and "LIMIT" in each[0]]
    assert waiting
    with closing(sqlite3.connect(large)) as connection:
        for statement, parameters in waiting:
            plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert plan[0].startswith("SEARCH job USING INDEX ix_job_waiting (pinned_backend=?"), plan
            assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_held_slots_are_counted_by_the_index(large: Path, large_store: JobStore) -> None:
    with watched_statements() as seen:
        claim_one(large_store, 1)

    held = next(each for each in seen if "count(*) AS held" in each[0])
    with closing(sqlite3.connect(large)) as connection:
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {held[0]}", held[1])]
    assert any(step.startswith("SEARCH job USING INDEX ix_job_status (status=?)") for step in plan), plan


@pytest.mark.parametrize("question", ["claim", "polled", "unresolved"])
def test_rows_that_wait_or_are_complete_cost_nothing(large: Path, question: str) -> None:
    with counted_steps() as thousands, open_store(large) as store:
        QUESTIONS[question](store)

    assert thousands[0] < 30


def test_no_statement_has_more_variables_than_any_sqlite_takes(path: Path) -> None:
    with campaign_at(path, []) as store:
        runner_id = begin_runner(store)
        run_sql(
            path,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
            " INSERT INTO job (position, index_label, params, status_since)"
            " SELECT i, '0', '[]', '2024-01-31T12:00:00.000Z' FROM n",
        )
        claimed = []
        while jobs := store.claims.claim(runner_id=runner_id, caps={"north": 9000}, at=NOW, limit=500):
            claimed += jobs
        with watched_statements() as seen:
            store.progress.record_not_found(claimed, at=NOW)
            store.owners.take(runner_id + 1, claimed)
            take_over(store, begin_runner(store))
            store.assets.record_missing(claimed)

    assert len(claimed) == 1500
    assert run_sql(path, "SELECT count(*) FROM attempt WHERE not_found_count = 1") == [(1500,)]
    assert max(len(p) for _, parameters in seen for p in as_rows(parameters)) < 999


def as_rows(parameters: Any) -> list[Any]:
    return parameters if isinstance(parameters, list) else [parameters]


def test_the_batch_job_of_a_row_is_found_by_the_index(large: Path) -> None:
    plan = run_sql(large, "EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE job = 77")

    assert not [step for *_, step in plan if step.startswith("SCAN")]


def test_a_large_campaign_can_be_worked_on(large: Path, large_store: JobStore) -> None:
    job = create_one(large_store, 1, "j-large")

    assert job.number > 99_990
    assert large_store.jobs.work_left(["north"], runner_id=1).active >= 1
