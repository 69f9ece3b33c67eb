"""The graph of changes of status, in the database and in Python, against design.md written out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from storage_tools import campaign_at, run_sql

from openeo_jobs.status import Actor, JobStatus, can_change

STATUSES = (
    *("not_started", "submitting", "created", "queued_for_start", "queued", "running"),
    *("finished", "error", "canceled", "skipped", "start_failed", "lost"),
)
GRAPH = """
not_started      -> submitting, skipped, start_failed, canceled*
submitting       -> created, queued_for_start, queued, running, finished, error, canceled
submitting       -> skipped, start_failed, not_started
created          -> queued_for_start, queued, running, finished, error, canceled, start_failed, lost
queued_for_start -> created, queued, running, finished, error, canceled, start_failed, lost
queued           -> created, running, finished, error, canceled, lost
running          -> created, queued, finished, error, canceled, lost
lost             -> created, queued, running, finished, error, canceled, not_started*
finished         -> error, canceled, queued*, running*
error            -> finished, canceled, queued*, running*
canceled         -> finished, error, queued*, running*
error            -> not_started
start_failed     -> not_started
finished         -> not_started*
canceled         -> not_started*
skipped          -> not_started*
"""
"""As design.md, section 3, has it; * only for actor `user`."""

Pair = tuple[str, str]
SAME = {(status, status) for status in STATUSES}


def pairs(*, starred: bool) -> Iterator[Pair]:
    for line in GRAPH.strip().splitlines():
        old, _, news = line.partition("->")
        for new in map(str.strip, news.split(",")):
            if starred or not new.endswith("*"):
                yield old.strip(), new.rstrip("*")


BY_ACTOR: dict[str | None, set[Pair]] = {
    "tracker": set(pairs(starred=False)),
    "user": set(pairs(starred=True)),
    "interface": set(product(STATUSES, STATUSES)) - SAME,
    None: set(pairs(starred=True)),  # plain SQL
}


@pytest.fixture
def every_pair(path: Path) -> sqlite3.Connection:
    """Return a connection to a campaign with a row for every ordered pair, in its old status."""
    with campaign_at(path, []):
        pass
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO job (id, position, index_label, params, status, status_since)"
        " VALUES (?, 0, '0', '[]', ?, '2024-01-31T12:00:00.000Z')",
        [(number, old) for number, (old, _) in enumerate(product(STATUSES, STATUSES), start=1)],
    )
    return connection


@pytest.mark.parametrize("actor", BY_ACTOR)
def test_exactly_the_listed_changes_succeed(every_pair: sqlite3.Connection, actor: str | None) -> None:
    succeeded = set()
    with closing(every_pair) as connection:
        for number, (old, new) in enumerate(product(STATUSES, STATUSES), start=1):
            try:
                connection.execute("UPDATE job SET status = ?, change_actor = ? WHERE id = ?",
                                   (new, actor, number))  # fmt: skip
            except sqlite3.IntegrityError:
                continue
            succeeded.add((old, new))

    assert succeeded == BY_ACTOR[actor] | SAME


@pytest.mark.parametrize("actor", BY_ACTOR)
def test_exactly_the_changes_that_succeed_are_in_the_history(
    every_pair: sqlite3.Connection, actor: str | None
) -> None:
    with closing(every_pair) as connection:
        last = connection.execute("SELECT max(id) FROM status_change").fetchone()[0]
        for number, (_, new) in enumerate(product(STATUSES, STATUSES), start=1):
            try:
                connection.execute("UPDATE job SET status = ?, change_actor = ? WHERE id = ?",
                                   (new, actor, number))  # fmt: skip
            except sqlite3.IntegrityError:
                continue
        written = connection.execute(
            "SELECT old, new, actor FROM status_change WHERE id > ?", (last,)
        ).fetchall()

    assert sorted(written) == sorted((*pair, actor or "user") for pair in BY_ACTOR[actor])


@pytest.mark.parametrize("actor", Actor)
def test_python_agrees_with_the_graph(actor: Actor) -> None:
    allowed = {
        (str(old), str(new)) for old, new in product(JobStatus, JobStatus) if can_change(old, new, actor)
    }

    assert allowed == BY_ACTOR[actor] | SAME


def test_table_status_transition_agrees_with_the_graph(path: Path) -> None:
    with campaign_at(path, []):
        pass

    rows = run_sql(path, "SELECT old, new, actor FROM status_transition")
    assert set(rows) == {(*pair, actor) for actor in Actor for pair in BY_ACTOR[actor.value]}


@pytest.mark.parametrize("status", ["done", "", "Finished", None])
def test_a_word_that_is_no_status_is_refused(path: Path, status: str | None) -> None:
    with campaign_at(path, []):
        pass
    run_sql(path, "INSERT INTO job (position, index_label, params, status_since) VALUES (0, '0', '[]', 'x')")

    for verb in ("UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"):
        for actor in ("interface", None):
            try:
                run_sql(path, f"{verb} job SET status = ?, change_actor = ?", status, actor)
            except sqlite3.IntegrityError:
                continue
    assert run_sql(path, "SELECT status FROM job") == [("not_started",)]
