"""Hooks that are due or have failed: how `openeo-jobs status` shows them, and `retry --hooks`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def failed(campaign: Path) -> Path:
    """Let the hooks of row 5, which failed, and of row 6, which is finished, have failed."""
    change(
        campaign,
        "UPDATE attempt SET hook_returned_at = NULL, hook_tries = 3, hook_error = 'RuntimeError: no disk', "
        "hook_failed_runner_id = 1 WHERE job_id IN (5, 6)",
    )
    return campaign


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


def hooks(path: Path) -> list[tuple[int, int, int | None]]:
    with closing(sqlite3.connect(path)) as connection:
        select = "SELECT job_id, hook_tries, hook_failed_runner_id FROM attempt WHERE job_id IN (5, 6)"
        return connection.execute(f"{select} ORDER BY 1").fetchall()


def test_a_row_that_lacks_only_its_hook_is_not_complete(campaign: Path, type_in) -> None:
    change(campaign, "UPDATE attempt SET hook_returned_at = NULL WHERE job_id = 6")
    _, out, _ = type_in("status", "--json")
    document = json.loads(out)
    assert (document["complete"], document["progress"]["hook due"]) == (0, 1)
    assert [backend["complete"] for backend in document["backends"]] == [0, 0]
    assert sum(document["progress"].values()) == document["rows"]
    assert document["hook_errors"] == []


def test_hooks_that_have_failed_are_shown_with_the_command_that_calls_them_again(failed, type_in) -> None:
    _, out, _ = type_in("status")
    assert " hook failed          1\n" in out
    assert (
        "rows 5, 6: the hook failed, the next run calls it again: RuntimeError: no\n"
        "    disk\n"
        "    > openeo-jobs retry --hooks\n"
    ) in out


def test_hooks_that_have_failed_are_called_again_from_the_start(failed, type_in) -> None:
    code, out, _ = type_in("retry", "--hooks")
    assert (code, out.splitlines()[0]) == (0, "2 hooks to be called again: rows 5, 6.")
    assert hooks(failed) == [(5, 0, None), (6, 0, None)]
    _, out, _ = type_in("status")
    assert " hook due             1\n" in out
    assert "the hook failed" not in out


def test_the_hook_of_one_row_is_called_again(failed, type_in) -> None:
    code, out, _ = type_in("retry", "--hooks", "--row", 6)
    assert (code, out.splitlines()[0]) == (0, "1 hook to be called again: row 6.")
    assert hooks(failed) == [(5, 3, 1), (6, 0, None)]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--row", 1], 1, "the hook of row 1 has not failed; nothing to retry"),
        (["--failure", 1], 2, "of the others, only --row N goes with it"),
        (["--status", "error"], 2, "of the others, only --row N goes with it"),
    ],
)
def test_other_rows_have_no_hook_to_call_again(failed, type_in, words, code: int, message: str) -> None:
    found, out, err = type_in("retry", "--hooks", *words)
    assert (found, out) == (code, "")
    assert message in err
    assert hooks(failed) == [(5, 3, 1), (6, 3, 1)]


def test_where_no_hook_has_failed_there_is_nothing_to_call_again(campaign, type_in) -> None:
    code, _, err = type_in("retry", "--hooks")
    assert code == 1
    assert "no hook has failed; nothing to retry" in err
