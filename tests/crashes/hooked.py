"""A manager with hooks that note when they are called, and what the database said right after each death."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openeo
import pandas as pd

from campaigning import PROCESS, query
from openeo_jobs import MultiBackendJobManager

LEDGER = "hooks.txt"
HOOK_TRIES = 3
BAD_PROCESS = {"odd": {"process_id": "frobnicate", "arguments": {}, "result": True}}
HOOK_SECONDS = 0.004


class HookedManager(MultiBackendJobManager):
    """Of every five rows, one has a hook that always raises, and one fails on its backend."""

    def on_job_done(self, job: openeo.BatchJob, row: pd.Series) -> None:
        self._note("called", row)
        if raises(row.tile):
            time.sleep(HOOK_SECONDS)
            self._note("raised", row)
            raise RuntimeError("no luck")
        super().on_job_done(job, row)
        is_here = (self.get_job_dir(job.job_id) / "job-results.json").exists()
        self._note("returned" if is_here else "lost", row)

    def on_job_error(self, job: openeo.BatchJob, row: pd.Series) -> None:
        self._note("called", row)
        super().on_job_error(job, row)
        self._note("returned", row)

    def _note(self, word: str, row: pd.Series) -> None:
        """Append a line in one write, which a kill can not tear."""
        line = f"{os.getpid()} {word} {row.tile} {row.status}\n"
        file = os.open(self._root_dir.parent / LEDGER, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(file, line.encode())
        os.close(file)


def start_some_badly(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob:
    return connection.create_job(BAD_PROCESS if fails(row.tile) else PROCESS, title=row.tile)


def raises(tile: str) -> bool:
    return int(tile[1:]) % 5 == 3


def fails(tile: str) -> bool:
    return int(tile[1:]) % 5 == 4


@dataclass(frozen=True, kw_only=True)
class State:
    """What the database says of the hook of a row."""

    has_returned: bool = False
    tries: int = 0
    has_failed: bool = False

    def raised(self) -> State:
        """Return what it says once the hook has raised once more."""
        tries = 1 if self.has_failed else self.tries + 1
        return State(tries=tries, has_failed=tries == HOOK_TRIES)


def read_states(folder: Path) -> dict[str, State]:
    """Return what the database says, by tile; of rows without an attempt nothing."""
    select = (
        "SELECT tile, attempt.hook_returned_at IS NOT NULL, hook_tries, hook_failed_runner_id IS NOT NULL "
        "FROM jobs JOIN job ON job.id = jobs.job JOIN attempt ON attempt.id = job.attempt_id"
    )
    if not (folder / "jobs.sqlite").exists() or not query(folder / "jobs.sqlite", _HAS_VIEW):
        return {}
    return {
        tile: State(has_returned=bool(returned), tries=tries, has_failed=bool(failed))
        for tile, returned, tries, failed in query(folder / "jobs.sqlite", select)
    }


_HAS_VIEW = "SELECT 1 FROM sqlite_master JOIN pragma_table_info('jobs') AS column WHERE column.name = 'tile'"


def read_ledger(folder: Path, pid: int | None = None) -> list[tuple[str, str, str]]:
    """Return what the hooks of one process, or of all, have noted: word, tile and status."""
    path = folder / LEDGER
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(word, tile, status) for of, word, tile, status in lines if pid in (None, int(of))]


def find_broken_promises(
    lines: list[tuple[str, str, str]],
    before: dict[str, State],
    after: dict[str, State],
    *,
    was_killed: bool,
    workers: int,
) -> list[str]:
    """Say where a process has called hooks otherwise than promised, by its *lines* of the ledger."""
    found = [f"{tile} had no files when super() returned" for word, tile, _ in lines if word == "lost"]
    found += [
        f"{tile} was {status} in its hook"
        for _, tile, status in lines
        if status != ("error" if fails(tile) else "finished")
    ]
    if _most_at_a_time(lines) > workers:
        found.append(f"{_most_at_a_time(lines)} hooks ran at a time")
    calls = Counter(tile for word, tile, _ in lines if word == "called")
    for tile, now in after.items():
        old = before.get(tile, State())
        cut_off = range(2 if was_killed and calls[tile] else 1)
        if now not in [_state_after(old, tile, calls[tile] - unstored) for unstored in cut_off]:
            found.append(f"{tile}: {calls[tile]} calls led from {old} to {now}, killed: {was_killed}")
        if calls[tile] > _most_calls(old, tile):
            found.append(f"{tile}: {calls[tile]} calls in one process, which began at {old}")
    return found


def _state_after(old: State, tile: str, stored: int) -> State:
    """Return what the database says after so many calls whose ends were stored."""
    for _ in range(stored):
        old = old.raised() if raises(tile) else State(has_returned=True)
    return old


def _most_calls(old: State, tile: str) -> int:
    """Return how often one process may call a hook."""
    if old.has_returned:
        return 0
    if not raises(tile):
        return 1
    return HOOK_TRIES if old.has_failed else HOOK_TRIES - old.tries


def count_inside(lines: list[tuple[str, str, str]]) -> int:
    """Count the hooks that were called and have neither returned nor raised."""
    return sum(1 if word == "called" else -1 for word, _, _ in lines)


def _most_at_a_time(lines: list[tuple[str, str, str]]) -> int:
    return max((count_inside(lines[:end]) for end in range(len(lines) + 1)), default=0)
