"""`openeo-jobs failures` and `openeo-jobs retry`: why, and back in line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from cli_campaign import MEMORY


def statuses(path: Path) -> dict[int, str]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT job, status FROM jobs"))


def test_failures_are_grouped_with_the_command_that_retries_them(campaign, type_in) -> None:
    code, out, err = type_in("failures")
    assert (code, err) == (0, "")
    assert out.startswith("5 rows failed, for 2 reasons.\n\n1   3 rows   remote error   north 1, south 2   ")
    assert f"    {MEMORY}\n    rows 3, 4, 5   costs 1.50 credits and 3.00 EUR\n" in out
    assert "    > openeo-jobs retry --failure 1\n" in out
    assert "2   2 rows   permanent   north 2   " in out
    assert "    'west'\n    rows 1, 2   no costs\n    > openeo-jobs retry --failure 2\n" in out
    *lines, who = out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert who.startswith("run by ")


def test_the_printed_commands_name_the_campaign_when_the_user_did(campaign, type_in) -> None:
    _, out, _ = type_in("failures", "jobs.csv")
    assert "> openeo-jobs retry jobs.csv --failure 1\n" in out


def test_the_document_of_failures_numbers_them_as_retry_does(campaign, type_in) -> None:
    _, out, _ = type_in("failures", "--json")
    document = json.loads(out)
    assert document["rows"] == 5
    first = document["failures"][0]
    assert (first["number"], first["rows"], first["message"]) == (1, [3, 4, 5], MEMORY)
    assert first["backends"] == {"north": 1, "south": 2}
    assert first["costs"] == {"credits": 1.5, "EUR": 3.0}


def test_retry_puts_one_group_back_in_line_and_tells_what_is_next(campaign, type_in) -> None:
    code, out, _ = type_in("retry", "--failure", 1)
    assert code == 0
    assert out.startswith("3 rows back in line: rows 3, 4, 5.\n")
    assert "last round" in out
    now = statuses(campaign)
    assert [now[row] for row in range(1, 6)] == ["start_failed"] * 2 + ["not_started"] * 3


def test_retry_tells_how_to_go_on_where_nothing_runs(campaign, type_in) -> None:
    with closing(sqlite3.connect(campaign)) as connection, connection:
        connection.execute(
            "UPDATE runner SET ended_at = heartbeat_at, folder = '/w', command = 'python a.py'"
        )
    _, out, _ = type_in("retry", "--status", "start_failed", "--status", "error")
    assert out.splitlines() == [
        "5 rows back in line: rows 1, 2, 3, 4, 5.",
        "Nothing runs this campaign now. Go on with: cd /w && python a.py",
    ]


def test_the_history_says_who_asked_for_a_retry(campaign, type_in) -> None:
    type_in("retry", "--row", 1)
    with closing(sqlite3.connect(campaign)) as connection:
        [last] = connection.execute("SELECT actor, reason FROM status_changes WHERE job = 1").fetchall()[-1:]
    assert last[0] == "user"
    assert last[1].endswith(": retry --row 1")


def test_a_row_that_waits_for_a_person_is_retried_by_its_number(campaign, type_in) -> None:
    code, out, _ = type_in("retry", "--row", 9)
    assert (code, out.splitlines()[0]) == (0, "1 row back in line: row 9.")
    assert statuses(campaign)[9] == "not_started"


def test_retry_throws_no_results_away_unless_it_is_meant(campaign, type_in) -> None:
    code, out, err = type_in("retry", "--status", "finished")
    assert (code, out) == (2, "")
    assert err.startswith("openeo-jobs: rows 6, 7: finished; ")
    assert "--yes" in err
    assert statuses(campaign)[6] == "finished"
    assert type_in("retry", "--status", "finished", "--yes")[0] == 0
    assert statuses(campaign)[6] == "not_started"


def test_a_retry_that_meets_nothing_is_an_error(campaign, type_in) -> None:
    for words, message in (
        (["--failure", 3], "there is no failure 3: there are 1 to 2; see: openeo-jobs failures"),
        (["--status", "lost"], "no row is meant by --status lost; nothing to retry"),
        (["--row", 11], "there is no row 11"),
        (["--row", 8], "row 8 is running: there is nothing to retry"),
    ):
        code, out, err = type_in("retry", *words)
        assert (code, out) == (1, "")
        assert message in err


def test_retry_without_rows_is_wrong_usage(campaign, type_in) -> None:
    code, _, err = type_in("retry")
    assert code == 2
    assert "--failure N" in err


def test_a_campaign_without_failures_says_so(campaign, type_in) -> None:
    type_in("retry", "--status", "error", "--status", "start_failed")
    code, out, _ = type_in("failures")
    assert (code, out.split("\n\nrun by ")[0]) == (0, "No row has failed.")
