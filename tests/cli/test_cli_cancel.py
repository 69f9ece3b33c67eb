"""`openeo-jobs cancel`: rows of a campaign that a process runs, or that nothing runs; and `retry --where`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


def stop_running(path: Path) -> None:
    change(path, "UPDATE runner SET ended_at = heartbeat_at, folder = '/w', command = 'python a.py'")


def test_a_row_that_has_not_begun_is_canceled_without_a_question(campaign, type_in) -> None:
    code, out, err = type_in("cancel", "--row", 10)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "1 row canceled: row 10."
    assert ask(campaign, "SELECT status FROM jobs WHERE job = 10") == [("canceled",)]
    [last] = ask(campaign, "SELECT actor, reason FROM status_changes WHERE job = 10")
    assert last[0] == "user"
    assert last[1].endswith(": cancel --row 10")


def test_what_runs_is_canceled_only_with_yes_or_an_answer(campaign, type_in, monkeypatch) -> None:
    code, out, err = type_in("cancel", "--status", "running", "--row", 10)
    assert (code, out) == (2, "")
    assert err == (
        "openeo-jobs: this would cancel 2 rows, of which 1 under way: row 8. If that is meant, add --yes\n"
    )
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    code, out, err = type_in("cancel", "--row", 8)
    assert (code, err) == (1, "openeo-jobs: nothing was canceled\n")
    assert ask(campaign, "SELECT count(*) FROM job WHERE cancel_requested_at IS NOT NULL") == [(0,)]
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert type_in("cancel", "--row", 8)[0] == 0
    assert ask(campaign, "SELECT id FROM job WHERE cancel_requested_at IS NOT NULL") == [(8,)]


def test_the_process_that_runs_the_campaign_is_left_to_do_it(campaign, type_in) -> None:
    code, out, _ = type_in("cancel", "--row", 8, "--yes")
    assert code == 0
    first, *rest = out.splitlines()
    assert first == "1 row to be canceled: row 8; the run asks their backends in its next round."
    assert rest[0].startswith("run by ")
    _, out, _ = type_in("status")
    assert " 1 row to be canceled\n" in out
    assert json.loads(type_in("status", "--json")[1])["canceling"] == 1


@pytest.mark.usefixtures("nobody")
def test_a_request_is_kept_where_its_backend_cannot_be_asked(campaign, type_in, monkeypatch) -> None:
    def refuse() -> None:
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr("openeo_jobs.cli.cancel.find_connections", lambda backends: {"north": refuse})
    stop_running(campaign)
    code, out, _ = type_in("cancel", "--row", 8, "--yes")
    assert code == 1
    first, second, last = out.splitlines()
    assert first == "1 row to be canceled: row 8; the next run does it."
    assert second.startswith("row 8: not canceled yet: ")
    assert last == "Nothing runs this campaign now. Go on with: cd /w && python a.py"
    assert ask(campaign, "SELECT status, cancel_requested_at IS NOT NULL FROM job WHERE id = 8") == [
        ("running", 1)
    ]


def test_what_is_over_is_left_and_one_that_waits_for_a_person_is_canceled(campaign, type_in) -> None:
    code, out, _ = type_in("cancel", "--row", 3, "--row", 6, "--row", 9, "--yes")
    assert code == 0
    assert out.splitlines()[:2] == [
        "1 row canceled: row 9.",
        "2 rows left: rows 3, 6: over already, or waiting for you (see: openeo-jobs status).",
    ]
    assert ask(campaign, "SELECT status, needs_person_since FROM job WHERE id = 9") == [("canceled", None)]


def test_rows_are_chosen_by_a_condition(campaign, type_in) -> None:
    assert type_in("cancel", "--where", "tile = 'T9'")[1].startswith("1 row canceled: row 10.")
    code, out, err = type_in("cancel", "--where", "tyle = 'T9'")
    assert (code, out) == (2, "")
    assert "no such column: tyle" in err
    assert "its columns: job, tile, id," in err
    code, _, err = type_in("cancel", "--where", "tile = 'nowhere'")
    assert (code, err) == (1, "openeo-jobs: no row is meant by that; nothing to cancel\n")


def test_retry_takes_a_condition_too(campaign, type_in) -> None:
    code, out, _ = type_in("retry", "--where", "status = 'error' AND backend_name = 'south'")
    assert code == 0
    assert out.startswith("2 rows back in line: rows 4, 5.")
    *_, (reason,) = ask(campaign, "SELECT reason FROM status_changes WHERE job = 4")
    assert reason.endswith(": retry --where status = 'error' AND backend_name = 'south'")


def test_a_refusal_is_shown_by_status(campaign, type_in) -> None:
    type_in("cancel", "--row", 8, "--yes")
    change(campaign, "UPDATE attempt SET cancel_error = '[405] MethodNotAllowed: no' WHERE job_id = 8")
    _, out, _ = type_in("status")
    assert "row 8: not canceled yet, a run asks again: [405] MethodNotAllowed: no" in out
    document = json.loads(type_in("status", "--json")[1])
    assert document["cancel_errors"] == [{"row": 8, "text": "[405] MethodNotAllowed: no"}]


def test_costs_that_are_not_known_yet_are_told(campaign, type_in) -> None:
    change(campaign, "UPDATE attempt SET costs = NULL WHERE job_id = 3")
    _, out, _ = type_in("status")
    assert "; not known yet for 1 attempt\n" in out
    costs = json.loads(type_in("status", "--json")[1])["costs"]
    assert [(one["backend_name"], one["unknown"]) for one in costs] == [("north", 1), ("south", 0)]
    change(campaign, "UPDATE attempt SET costs = NULL")
    assert " costs on south: not known yet for 2 attempts\n" in type_in("status")[1]


def test_cancel_without_rows_is_wrong_usage(campaign, type_in) -> None:
    code, _, err = type_in("cancel")
    assert (code, "--where CONDITION" in err) == (2, True)
    assert type_in("cancel", "--status", "finished")[0] == 2
