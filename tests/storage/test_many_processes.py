"""Many processes on one file."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage_tools import campaign_at, make_tiles, run_at_once, run_sql

CLAIM_ALL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import pytest
from openeo_jobs.storage.store import open_store
store = open_store(Path(sys.argv[1]))
store.jobs.count_by_status()
print("ready", flush=True)
input()
mine, turn = [], int(sys.argv[2])
while True:
    turn += 1
    claimed = store.claims.claim(
        runner_id=int(sys.argv[2]), caps={"north": 5000}, at=datetime.now(UTC), limit=1 + turn % 7
    )
    if not claimed:
        break
    mine += [job.number for job in claimed]
store.close()
print(*mine)
"""


@pytest.mark.thorough
def test_eight_processes_share_2000_rows_and_none_gets_one_twice(path: Path) -> None:
    with campaign_at(path, make_tiles(2000)):
        pass
    for number in range(1, 9):  # by plain SQL: a second runner that is alive would be refused
        run_sql(
            path,
            "INSERT INTO runner VALUES (?, ?, 'h', 'b', 'n', 1, '', 'x', 'c', 'f', 'x', NULL, NULL, 120)",
            number,
            str(number),
        )
    printed = run_at_once(CLAIM_ALL, [[str(path), str(number)] for number in range(1, 9)])

    claimed = {number: [int(word) for word in text.split()] for number, text in enumerate(printed, 1)}
    assert sorted(row for rows in claimed.values() for row in rows) == list(range(1, 2001))
    assert {number: sorted(rows) for number, rows in claimed.items()} == {
        number: [row for (row,) in run_sql(path, "SELECT id FROM job WHERE owner_id = ? ORDER BY id", number)]
        for number in range(1, 9)
    }
    assert run_sql(path, "SELECT count(*), count(DISTINCT job_id) FROM attempt") == [(2000, 2000)]
    assert run_sql(path, "SELECT count(*) FROM status_change") == [(2000,)]
