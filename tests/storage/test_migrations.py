"""A database of each older revision, with rows in it, becomes one of this version."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from storage_tools import HEAD, is_dead, run_sql

from openeo_jobs.jobs import Runner
from openeo_jobs.storage import migrate
from openeo_jobs.storage.store import open_store, open_store_for_run

REVISIONS = sorted(path.name[:4] for path in (migrate.find_scripts() / "versions").glob("0*.py"))
OLDER = [revision for revision in REVISIONS if revision != HEAD]
ROWS = """
INSERT INTO campaign (id, uid, created_at, columns, index_column, geometry, mirrors)
  VALUES (1, 'c0ffee123456', '2024-01-31T12:00:00.000Z',
  '[{"name": "tile", "dtype": "str", "detail": {}}]', '{"name": "", "dtype": "int64", "detail": {}}',
  NULL, '{}');
INSERT INTO backend (name, parallel_jobs, learned_cap, paused_class, paused_reason, paused_since, retry_at)
  VALUES ('north', 4, NULL, NULL, NULL, NULL, NULL), ('south', 2, 1, 'limit', '[429] slowly',
  '2024-01-31T12:00:00.000Z', '2024-01-31T12:01:00.000Z');
INSERT INTO job (position, index_label, params, status_since)
  VALUES (0, '0', '["T0"]', '2024-01-31T12:00:00.000Z'), (1, '1', '["T1"]', '2024-01-31T12:00:00.000Z');
INSERT INTO attempt (job_id, number, backend_id, began_at) VALUES (2, 1, 2, '2024-01-31T12:00:00.000Z');
INSERT INTO batch_job (attempt_id, backend_id, batch_job_id, outcome) VALUES (1, 2, 'j-1', 'created');
UPDATE job SET status = 'submitting', change_actor = 'tracker', attempt_id = 1 WHERE id = 2;
UPDATE job SET status = 'created', change_actor = 'tracker' WHERE id = 2;
UPDATE attempt SET chosen_id = 1 WHERE id = 1;
INSERT INTO runner
  (uuid, host, boot_id, pid_namespace, pid, process_started_at, started_at, command, folder, heartbeat_at)
  VALUES ('u', 'h', 'b', 'n', 1, 's', '2024-01-31T12:00:00.000Z', 'c', 'f', '2024-01-31T12:00:00.000Z');
UPDATE attempt SET hook_error = 'RuntimeError: boom', hook_failed_runner_id = 1 WHERE id = 1;
"""


@pytest.fixture(params=OLDER)
def older(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Make a database of an older revision, with rows in it."""
    scripts, path = tmp_path / "scripts", tmp_path / "jobs.sqlite"
    shutil.copytree(migrate.find_scripts(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (scripts / "versions").glob("0*.py"):
        if script.name[:4] > request.param:
            script.unlink()
    migrate.create(path, scripts=scripts)
    assert migrate.read_revision(path) == request.param
    for statement in ROWS.split(";\n"):
        run_sql(path, statement)
    return path


def schema_of(path: Path) -> set[tuple[str, str]]:
    select = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    return {(kind, name) for kind, name in run_sql(path, select)}


def test_rows_history_and_pauses_are_kept(older: Path) -> None:
    with open_store_for_run(older, is_dead=is_dead) as store:
        north, south = store.backends.all()
        job = store.jobs.one(2)
        assert [change.new.value for change in store.jobs.history(2)] == ["submitting", "created"]
    assert (north.parallel_jobs, north.is_polled, north.failures_in_a_row) == (4, True, 0)
    assert (south.learned_cap, south.paused_reason, south.learned_at) == (1, "[429] slowly", None)
    assert job is not None
    assert (job.batch_job_id, job.backend_name) == ("j-1", "south")
    assert job.attempt is not None
    assert job.attempt.batch_job is not None
    assert job.attempt.batch_job.vain_starts == 0
    assert run_sql(older, "SELECT account FROM attempts") == [(None,)]
    assert south.paused_remedy is None
    assert run_sql(older, "SELECT tile, status FROM jobs") == [("T0", "not_started"), ("T1", "created")]


def test_a_hook_that_has_raised_has_failed(older: Path) -> None:
    knows_tries = migrate.read_revision(older) >= "0008"
    migrate.upgrade(older, is_dead=is_dead)
    select = "SELECT hook_tries, hook_error, hook_failed_runner_id, hook_not_before FROM attempt"
    assert run_sql(older, select) == [(0 if knows_tries else 1, "RuntimeError: boom", 1, None)]


def test_it_has_the_tables_triggers_and_views_of_a_new_one(older: Path, tmp_path: Path) -> None:
    migrate.upgrade(older, is_dead=is_dead)
    new = tmp_path / "new.sqlite"
    migrate.create(new)

    assert schema_of(older) == schema_of(new)
    assert len([name for kind, name in schema_of(older) if kind == "trigger"]) >= 19
    assert run_sql(older, "PRAGMA integrity_check") == [("ok",)]
    assert run_sql(older, "PRAGMA foreign_key_check") == []


def test_its_triggers_still_guard(older: Path) -> None:
    migrate.upgrade(older, is_dead=is_dead)
    with pytest.raises(Exception, match="never forgotten"):
        run_sql(older, "DELETE FROM batch_job")
    run_sql(older, "UPDATE job SET status = 'canceled' WHERE id = 1")
    with open_store(older) as store:
        assert [change.actor for change in store.jobs.history(1)] == ["user"]


def test_costs_that_were_never_known_are_asked_for_once_more(older: Path) -> None:
    asks_again = migrate.read_revision(older) >= "0009"
    ended = "ended_at = '2024-01-31T13:00:00.000Z', backend_status = 'finished'"
    run_sql(older, f"UPDATE attempt SET {ended}")
    migrate.upgrade(older, is_dead=is_dead)
    assert run_sql(older, "SELECT costs_not_before, costs_tries FROM attempt") == [
        (None if asks_again else "2024-01-31T13:00:00.000Z", 0)
    ]


def test_a_runner_of_before_counts_as_alive_for_two_minutes(older: Path) -> None:
    judged: list[Runner] = []
    migrate.upgrade(older, is_dead=lambda runner: judged.append(runner) is None)
    with open_store(older) as store:
        assert [one.lease for one in (*judged, *store.runners.open())] == [timedelta(seconds=120)] * 2
