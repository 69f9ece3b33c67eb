"""Whether the promises hold: what the database says, held against what really happened on the simulator."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from campaigning import query
from openeo_jobs.simulator import Simulator

_ROWS = (
    "SELECT jobs.job, jobs.status, jobs.results_status, jobs.id, attempt.error_message FROM jobs"
    " JOIN job ON job.id = jobs.job LEFT JOIN attempt ON attempt.id = job.attempt_id"
)


def find_damage(folder: Path) -> list[str]:
    """Check the database as a crash has left it, in a copy: the next run has to mend it by itself."""
    if not (folder / "jobs.sqlite").exists():
        return []
    with tempfile.TemporaryDirectory(dir=folder) as copy:
        for path in folder.glob("jobs.sqlite*"):
            shutil.copy(path, copy)
        return _check_file(Path(copy) / "jobs.sqlite")


def find_violations(folder: Path, simulator: Simulator, *, rows: int) -> list[str]:
    """Return what is wrong with a campaign that has come to its end."""
    database = folder / "jobs.sqlite"
    ((uid,),) = query(database, "SELECT uid FROM campaign")
    known = {one for (one,) in query(database, "SELECT id FROM batch_jobs")}
    chosen = dict(query(database, "SELECT id, job FROM batch_jobs WHERE chosen"))
    true_ones = [one for one in simulator.truth().batch_jobs if one.campaign == uid[:6]]
    found = _check_file(database)
    for one in true_ones:
        if one.id not in known:
            found.append(f"P4: {one.id} of row {one.row} is not reported")
            found += [f"P1: {one.id} of row {one.row} was started"] * bool(one.starts)
        elif chosen.get(one.id) != one.row:
            found.append(f"P4: {one.id} is one batch job too many of row {one.row}")
            found += [f"P4: {one.id} of row {one.row} was started"] * bool(one.starts)
    for row in range(1, rows + 1):
        executions = sum(one.executions for one in true_ones if one.row == row)
        if executions != 1:
            found.append(f"P2: row {row} was executed {executions} times")
    for row, status, results, one, why in query(database, _ROWS):
        if (status, results) != ("finished", "downloaded"):
            found.append(f"P3: row {row} is {status}, its results {results}: {why}")
        elif not (folder / "results" / f"job_{one}" / "job-results.json").exists():
            found.append(f"P5: the results of row {row} are not there")
    return found


def _check_file(database: Path) -> list[str]:
    integrity = query(database, "PRAGMA integrity_check")
    foreign_keys = query(database, "PRAGMA foreign_key_check")
    return [f"{database}: {found}" for found in (*integrity, *foreign_keys) if found != ("ok",)]
