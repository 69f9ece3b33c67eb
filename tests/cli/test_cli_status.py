"""`openeo-jobs status`: what it says, and that it says it quickly."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cli_campaign import STATUSES

from openeo_jobs.storage.store import open_store


def test_the_stages_add_up_to_the_number_of_rows(campaign, type_in) -> None:
    code, out, _ = type_in("status", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["statuses"] == STATUSES
    assert sum(document["progress"].values()) == document["rows"] == 10
    assert document["progress"] == {
        "complete": 1,
        "no results": 1,
        "running": 1,
        "submitting": 1,
        "not started": 1,
        "failed": 5,
    }


def test_the_screen_answers_first_and_fits_80_columns(campaign, type_in) -> None:
    code, out, err = type_in("status")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].startswith("jobs.sqlite    10 rows    since ")
    assert " complete             1    10.0 %   ███▏" in lines
    assert " failed               5   3 error, 2 start_failed" in lines
    assert " south       paused        0       0         0       2         2      90 s" in lines
    assert all(len(line) <= 80 for line in lines if "pid" not in line)
    assert "\x1b" not in out


def test_a_row_with_a_word_of_its_user_is_counted_under_it_and_nowhere_else(campaign, type_in) -> None:
    change(campaign, "UPDATE job SET user_status = 'parked' WHERE id = 10")
    _, out, _ = type_in("status")
    assert " set aside            1   1 parked\n" in out
    assert "not started" not in out


def test_what_needs_a_person_is_listed_with_the_command_to_type(campaign, type_in) -> None:
    _, out, _ = type_in("status")
    needs = out[out.index("needs you") :]
    assert "5 failed rows in 2 groups" in needs
    assert "openeo-jobs failures\n" in needs
    assert (
        "row 9 waits for you: two batch jobs have its tag\n"
        "    Adopt the batch job that exists, or begin a new attempt beside it:\n"
        "    > openeo-jobs adopt --row 9 --id BATCH_JOB_ID\n"
        "    > openeo-jobs retry --row 9\n"
    ) in needs
    assert "south paused since" in needs
    assert "InfrastructureMaintenance" in needs
    assert "row 7: results not downloaded, the next run tries again: cut short" in needs


def test_the_command_that_logs_in_has_a_line_of_its_own(campaign, type_in) -> None:
    command = f"openeo-auth oidc-auth https://{'north.' * 12}test --provider-id idp"
    change(
        campaign,
        "UPDATE backend SET paused_class = 'auth', paused_reason = 'the login is not valid any more', "
        f"paused_remedy = '{command}' WHERE name = 'south'",
    )
    _, out, _ = type_in("status")
    assert f"valid any more\n    > {command}\n" in out
    _, out, _ = type_in("status", "--json")
    assert json.loads(out)["backends"][1]["paused"]["remedy"] == command


def test_a_fuse_that_has_tripped_is_told_once_for_all_its_backends(campaign, type_in) -> None:
    reason = "10 calls of start_job in a row failed alike, the last one of: KeyError: 'west' in start_job"
    with closing(sqlite3.connect(campaign)) as connection, connection:
        connection.execute(
            "UPDATE backend SET fuse_reason = ?, fuse_since = '2024-01-31T12:00:00.000Z'", (reason,)
        )
    _, out, _ = type_in("status")
    needs = " ".join(out[out.index("needs you") :].split())
    assert needs.count("nothing new is created since") == 1
    assert (
        f"north, south: nothing new is created since 31 Jan 2024 12:00: {reason} > openeo-jobs failures"
        in needs
    )
    assert " north       paused " in out
    _, out, _ = type_in("status", "--json")
    assert json.loads(out)["backends"][0]["fuse"] == {"reason": reason, "since": "2024-01-31T12:00:00.000Z"}


def test_a_learned_cap_is_shown_as_the_slots_that_there_are(campaign, type_in) -> None:
    change(campaign, f"UPDATE backend SET learned_cap = 3, learned_at = '{datetime.now(UTC).isoformat()}'")
    _, out, _ = type_in("status")
    assert " north       1 of 3 " in out
    _, out, _ = type_in("status", "--json")
    assert (json.loads(out)["backends"][0]["learned_cap"]) == 3


def test_costs_of_two_currencies_are_never_summed(campaign, type_in) -> None:
    _, out, _ = type_in("status")
    assert " costs on north: 6.00 credits, 1.50 per row, 1.50 of it in failed attempts\n" in out
    assert " costs on south: 3.00 EUR, 1.50 per row, 3.00 of it in failed attempts\n" in out


def test_who_runs_the_campaign_is_told_while_that_process_lives(campaign, type_in) -> None:
    _, out, _ = type_in("status")
    assert re.search(r"   last round \d+ min ago\n", out)
    assert out.splitlines()[1].startswith("run by ")


def test_each_process_that_runs_the_campaign_has_a_line(campaign, type_in) -> None:
    pids = [os.getpid(), os.getppid()]
    with open_store(campaign) as store:
        (known,) = store.runners.open()
        for pid, command in ((pids[1], "python b.py"), (2**22 + 1, "python dead.py")):
            # On another machine nobody sees who lives: what counts is that it was heard of.
            heard_of = known.heartbeat_at if pid in pids else known.started_at - timedelta(days=1)
            other = replace(
                known, uuid=uuid.uuid4().hex, boot_id="elsewhere", pid=pid, command=command,
                heartbeat_at=heard_of, last_round_at=known.last_round_at,
            )  # fmt: skip
            store.runners.begin(other, is_dead=lambda _: False, at=heard_of)
    _, out, _ = type_in("status")
    lines = [line for line in out.splitlines() if line.startswith("run by ")]
    assert [re.findall(r"pid (\d+)", line) for line in lines] == [[str(pid)] for pid in pids]
    assert "python b.py   last round" in lines[1]
    assert "Nothing runs" not in out
    _, out, _ = type_in("status", "--json")
    document = json.loads(out)
    assert [one["pid"] for one in document["runners"]] == pids
    assert document["runner"]["is_alive"] is False


def test_a_campaign_that_nobody_runs_says_how_to_go_on(campaign, type_in) -> None:
    change(
        campaign, "UPDATE runner SET ended_at = heartbeat_at, folder = '/my work', command = 'python a.py'"
    )
    _, out, _ = type_in("status")
    assert "Nothing runs this campaign now. Go on with: cd '/my work' && python a.py\n" in out
    _, out, _ = type_in("status", "--json")
    assert json.loads(out)["runner"]["is_alive"] is False


def test_rows_that_wait_for_another_account_are_told_in_one_line(campaign, type_in) -> None:
    change(
        campaign,
        "UPDATE attempt SET account = 'xenia' WHERE job_id = 8; UPDATE job SET owner_id = NULL WHERE id = 8;"
        "INSERT INTO runner (uuid, host, boot_id, pid_namespace, pid, process_started_at, started_at,"
        " command, folder, heartbeat_at, ended_at) SELECT 'x', host, boot_id, pid_namespace, pid,"
        " process_started_at, started_at, command, folder, heartbeat_at, heartbeat_at FROM runner;"
        "INSERT INTO login SELECT 1, id, 'yvonne' FROM backend; INSERT INTO login VALUES (2, 1, 'xenia')",
    )
    _, out, _ = type_in("status")
    needs = " ".join(out[out.index("needs you") :].split())
    assert "1 row waits for account xenia of north: nobody else sees" in needs
    _, out, _ = type_in("status", "--json")
    assert json.loads(out)["other_accounts"] == [{"backend": "north", "account": "xenia", "rows": 1}]


def test_rows_of_unknown_creation_are_told(campaign, type_in) -> None:
    change(
        campaign,
        "INSERT INTO batch_job (attempt_id, backend_id, outcome, ended_at) "
        "SELECT attempt_id, 1, 'unknown', '2024-01-31T12:00:00.000Z' FROM job "
        "WHERE id = 9; UPDATE job SET needs_person_since = NULL WHERE id = 9",
    )
    _, out, _ = type_in("status")
    assert " submitting           1   1 row: outcome of creation unknown\n" in out


def test_reading_commands_import_neither_openeo_nor_pandas(campaign) -> None:
    code = (
        "import sys; from openeo_jobs.cli import main; code = main(['status']) or main(['failures']);"
        "sys.exit(code or ', '.join({'openeo', 'pandas', 'starlette'} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def change(path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)
