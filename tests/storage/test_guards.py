"""What triggers and constraints hold, whoever writes: history, batch job ids, rows, actors."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from storage_tools import NOW, claim_one, create_one, dump, force_status, reload, run_sql

from openeo_jobs.errors import StatusChangeError
from openeo_jobs.history import StatusChange
from openeo_jobs.status import Actor, JobStatus
from openeo_jobs.storage.changes import change_status
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.store import JobStore


def refuse(path: Path, statement: str) -> None:
    """Check that *statement* is refused and changes nothing, also where its conflicts are to be resolved."""
    before = dump(path)
    with pytest.raises(sqlite3.IntegrityError):
        run_sql(path, statement)
    assert dump(path) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE status_change SET actor = 'tracker'",
        "UPDATE status_change SET at = '2000-01-01T00:00:00.000Z' WHERE id = 1",
        "DELETE FROM status_change",
        "DELETE FROM status_change WHERE id = 1",
        "INSERT OR REPLACE INTO status_change (id, job_id, at, old, new, actor)"
        " VALUES (1, 1, 'x', 'not_started', 'submitting', 'user')",
        "REPLACE INTO status_change SELECT id, job_id, attempt_id, at, old, new, 'user', 'mine'"
        " FROM status_change",
        # What never was, what is now, what was before, a row without history, a row that is not there.
        "INSERT INTO status_change (job_id, at, old, new, actor) VALUES (1, 'x', 'queued', 'running', 'me')",
        "INSERT INTO status_change (job_id, at, old, new, actor)"
        " VALUES (1, 'x', 'submitting', 'created', 'user')",
        "INSERT INTO status_change (job_id, at, old, new, actor) VALUES (1, 'x', 'error', 'created', 'user')",
        "INSERT INTO status_change (job_id, at, old, new, actor) VALUES (1, 'x', 'created', 'created', 'me')",
        "INSERT INTO status_change (job_id, at, new, actor) VALUES (1, 'x', 'created', 'user')",
        "INSERT INTO status_change (job_id, at, old, new, actor)"
        " VALUES (2, 'x', 'error', 'not_started', 'user')",
        "INSERT INTO status_change (job_id, at, new, actor) VALUES (2, 'x', 'not_started', 'user')",
        "INSERT INTO status_change (job_id, at, old, new, actor) VALUES (99, 'x', 'queued', 'running', 'me')",
    ],
)
def test_the_history_cannot_be_altered(store: JobStore, runner_id: int, path: Path, statement: str) -> None:
    create_one(store, runner_id, "j-1")

    refuse(path, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE batch_job SET batch_job_id = 'j-9' WHERE id = 1",
        "UPDATE batch_job SET batch_job_id = NULL WHERE id = 1",
        "UPDATE OR REPLACE batch_job SET batch_job_id = 'j-9' WHERE id = 1",
        "REPLACE INTO batch_job (id, attempt_id, backend_id, batch_job_id, outcome)"
        " VALUES (1, 1, 1, 'j-9', 'created')",
        "REPLACE INTO batch_job (attempt_id, backend_id, batch_job_id, outcome)"
        " VALUES (2, 1, 'j-1', 'created')",
        "REPLACE INTO batch_job (attempt_id, backend_id, tag, outcome) VALUES (2, 1, 'oj-j-1', 'unknown')",
        "INSERT INTO batch_job (id, attempt_id, backend_id, batch_job_id, outcome)"
        " VALUES (1, 1, 1, 'j-9', 'created')"
        " ON CONFLICT (id) DO UPDATE SET batch_job_id = 'j-9'",
        # The third batch job has no id yet: to give it that of the first would wipe the first.
        "UPDATE OR REPLACE batch_job SET batch_job_id = 'j-1' WHERE id = 3",
        "UPDATE OR REPLACE batch_job SET tag = 'oj-j-1' WHERE id = 3",
        "UPDATE OR REPLACE batch_job SET id = 1 WHERE id = 3",
        "UPDATE OR REPLACE batch_job SET rowid = 1 WHERE id = 3",
    ],
)
def test_the_id_of_a_batch_job_is_written_once(
    store: JobStore, runner_id: int, path: Path, statement: str
) -> None:
    create_one(store, runner_id, "j-1")
    create_one(store, runner_id, "j-2")
    job = claim_one(store, runner_id)
    store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="oj-3", at=NOW)

    refuse(path, statement)


def test_the_id_of_a_batch_job_may_be_written_again_as_it_is(
    store: JobStore, runner_id: int, path: Path
) -> None:
    create_one(store, runner_id, "j-1")

    store.creations.record_outcome(1, outcome="created", batch_job_id="j-1", at=NOW)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM job",
        "DELETE FROM job WHERE id = 5",
        "REPLACE INTO job (id, position, index_label, params, status_since)"
        " VALUES (1, 0, '0', '[\"other\"]', 'x')",
        "UPDATE OR REPLACE job SET id = 1 WHERE id = 2",
        "UPDATE OR REPLACE job SET rowid = 1 WHERE id = 2",
        "UPDATE job SET id = 99 WHERE id = 2",
        "DELETE FROM attempt",
        "REPLACE INTO attempt (id, job_id, number, backend_id, began_at) VALUES (1, 1, 1, 2, 'x')",
        "REPLACE INTO attempt (job_id, number, backend_id, began_at) VALUES (1, 1, 2, 'x')",
        "UPDATE OR REPLACE attempt SET id = 1 WHERE id = 2",
        "UPDATE OR REPLACE attempt SET job_id = 1 WHERE id = 2",
        "DELETE FROM batch_job",
        "DELETE FROM batch_job WHERE id = 1",
    ],
)
def test_no_row_is_deleted_or_replaced(store: JobStore, runner_id: int, path: Path, statement: str) -> None:
    create_one(store, runner_id, "j-1")
    create_one(store, runner_id, "j-2")

    refuse(path, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE job SET params = 'no json'",
        "UPDATE job SET params = '{}'",
        "UPDATE job SET results_status = 'here'",
        "UPDATE job SET status = 'not_started', change_actor = 'somebody'",
        "UPDATE backend SET parallel_jobs = -1",
        "INSERT INTO backend (name, parallel_jobs) VALUES ('north', 2)",
        "UPDATE batch_job SET outcome = 'maybe'",
        "INSERT INTO campaign (id, uid, created_at, columns, index_column, mirrors)"
        " VALUES (2, 'u', 'x', '[]', '{}', '{}')",
    ],
)
def test_constraints_hold(store: JobStore, runner_id: int, path: Path, statement: str) -> None:
    create_one(store, runner_id, "j-1")

    refuse(path, statement)


def test_what_the_tracker_does_is_in_the_history_as_its_own(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")

    assert job.attempt is not None
    common = {"job": 1, "at": NOW, "actor": "tracker", "attempt_id": job.attempt.id}
    assert store.jobs.history(1) == [
        StatusChange(old=JobStatus.NOT_STARTED, new=JobStatus.SUBMITTING, **common),
        StatusChange(old=JobStatus.SUBMITTING, new=JobStatus.CREATED, **common),
    ]


def test_the_same_status_again_is_no_history(store: JobStore, path: Path) -> None:
    run_sql(path, "UPDATE job SET status = 'not_started', change_actor = 'tracker'")

    assert run_sql(path, "SELECT count(*) FROM status_change") == [(0,)]


@pytest.mark.parametrize("first", ["status = 'submitting'", "priority = 1"])
def test_an_actor_is_not_inherited_by_the_next_change(store: JobStore, path: Path, first: str) -> None:
    run_sql(path, f"UPDATE job SET {first}, change_actor = 'interface', change_reason = 'why' WHERE id = 1")
    run_sql(path, "UPDATE job SET status = 'submitting' WHERE id = 1")
    run_sql(path, "UPDATE job SET status = 'start_failed' WHERE id = 1")

    last = store.jobs.history(1)[-1]
    assert (last.actor, last.reason) == ("user", None)


def test_a_row_that_is_inserted_in_a_status_begins_its_history(store: JobStore, path: Path) -> None:
    run_sql(
        path,
        "INSERT INTO job (id, position, index_label, params, status, status_since, change_actor)"
        " VALUES (9, 9, '9', '[]', 'finished', '2024-01-31T12:00:00.000Z', 'interface')",
    )

    (change,) = store.jobs.history(9)
    assert (change.old, change.new, change.at, change.actor) == (None, JobStatus.FINISHED, NOW, "interface")
    assert run_sql(path, "SELECT change_actor FROM job WHERE id = 9") == [(None,)]


def test_a_plain_change_counts_as_a_users_and_gets_its_time(store: JobStore, path: Path) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    run_sql(path, "UPDATE job SET status = 'canceled' WHERE id = 3")

    (change,) = store.jobs.history(3)
    job = store.jobs.one(3)
    assert change.actor == "user"
    assert before <= change.at <= datetime.now(UTC)
    assert job is not None
    assert abs(job.status_since - change.at) < timedelta(seconds=5)


@pytest.mark.parametrize("status", ["start_failed", "error", "lost", "finished", "canceled", "skipped"])
def test_a_plain_update_puts_a_row_back_in_line_completely(
    store: JobStore, runner_id: int, path: Path, status: str
) -> None:
    untouched = store.jobs.one(1)
    create_one(store, runner_id, "j-1")
    force_status(path, 1, status)
    run_sql(
        path,
        "UPDATE job SET cancel_requested_at = status_since, needs_person_since = status_since,"
        " needs_person_reason = 'r', results_status = 'failed', results_tries = 5, user_status = 'parked',"
        " results_not_before = status_since, results_error = 'e', owner_id = ? WHERE id = 1",
        runner_id,
    )
    run_sql(path, "UPDATE job SET status = 'not_started' WHERE id = 1")

    job = store.jobs.one(1)
    assert job is not None and untouched is not None
    assert job.status_since > untouched.status_since
    names = [name for name in type(job).__slots__ if name != "status_since"]
    assert [getattr(job, name) for name in names] == [getattr(untouched, name) for name in names]
    assert run_sql(path, "SELECT results_error FROM job WHERE id = 1") == [(None,)]


def test_a_row_that_is_back_in_line_gets_a_new_attempt(store: JobStore, runner_id: int, path: Path) -> None:
    create_one(store, runner_id, "j-1")
    force_status(path, 1, "error")
    run_sql(path, "UPDATE job SET status = 'not_started' WHERE id = 1")

    job = claim_one(store, runner_id)
    assert (job.number, job.batch_job_id) == (1, None)
    assert job.attempt is not None and job.attempt.number == 2


def test_a_change_that_the_graph_forbids_raises(store: JobStore, path: Path) -> None:
    job = store.jobs.one(1)
    assert job is not None

    database = Database(path)
    message = "row 1: tracker may not change not_started to running"
    with pytest.raises(StatusChangeError, match=message), database.writing() as connection:
        change_status(connection, job, JobStatus.RUNNING, at=NOW, actor=Actor.TRACKER)
    database.close()
    assert reload(store, job) == job
