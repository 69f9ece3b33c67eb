"""A process that suspends itself, and notes what it tries to write of rows that are not its own any more."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openeo
import pandas as pd
import sqlalchemy as sa

from campaigning import start_job
from every_write import read_row, writes_for
from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.storage.assets import Assets
from openeo_jobs.storage.cancellations import Cancellations
from openeo_jobs.storage.creations import Creations
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.endings import Endings
from openeo_jobs.storage.hooks import Hooks
from openeo_jobs.storage.progress import Progress
from openeo_jobs.storage.store import JobStore, open_store

StartJob = Callable[..., openeo.BatchJob]

NOUNS = (Assets, Cancellations, Creations, Endings, Hooks, Progress)
STALLS_IN_CALL = 6
_IS_LOST = "SELECT 1 FROM job WHERE id = :row AND owner_id IS NOT :owner"


def stall_once(folder: Path) -> StartJob:
    """Return a `start_job` that suspends its process before the create request leaves.

    It does so again each time that somebody resumes it, until there is a file `go-on` in the folder. Then it
    tries to write everything, before it knows any better.
    """
    calls = itertools.count(1)

    def stall(row: pd.Series, **kwargs: Any) -> openeo.BatchJob:
        if next(calls) == STALLS_IN_CALL:
            with open_store(folder / "jobs.sqlite") as store:
                mine = find_mine(store, row)
                while not (folder / "go-on").exists():
                    time.sleep(0.05)  # a heartbeat that was stopped in the middle comes to its end
                    os.kill(os.getpid(), signal.SIGSTOP)
                write_all(store, find_lost(store, mine))
        return start_job(row, **kwargs)

    return stall


def find_mine(store: JobStore, row: pd.Series) -> list[Job]:
    """Return the rows of the runner in whose `start_job` *row* is."""
    jobs = {f"T{each.position:03}": each for each in store.jobs.all()}
    return [each for each in jobs.values() if each.owner_id == jobs[row.tile].owner_id]


def find_lost(store: JobStore, known: Iterable[Job]) -> list[Job]:
    """Return those of the *known* rows that have another owner now."""
    owners = {each.number: each.owner_id for each in store.jobs.all()}
    return [each for each in known if owners[each.number] != each.owner_id]


def write_all(store: JobStore, jobs: Iterable[Job]) -> None:
    for each in jobs:
        for write in writes_for(each).values():
            with suppress(JobMovedError):
                write(store, each, datetime.now(UTC))


def watch(notes: list[str]) -> None:
    """Note every write for a job with another owner now: `refused` if its row stays as it was, or `accepted`.

    That is looked up in the same transaction, so that nothing which others do counts.
    """
    here = threading.local()
    _watch_transactions(here, notes)
    for noun in NOUNS:
        for name, method in inspect.getmembers(noun, inspect.isfunction):
            if not name.startswith("_"):
                setattr(noun, name, _watched(f"{noun.__name__}.{name}", method, here))


def _watched(name: str, method: Callable[..., Any], here: threading.local) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        here.call = (name, list(_find_jobs(args[1:])))
        try:
            return method(*args, **kwargs)
        finally:
            here.call = (name, [])

    return call


def _find_jobs(value: Any) -> Iterator[Job]:
    if isinstance(value, Job):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _find_jobs(one)
    elif isinstance(getattr(value, "job", None), Job):
        yield value.job


def _watch_transactions(here: threading.local, notes: list[str]) -> None:
    writing = Database.writing

    @contextmanager
    def watched(self: Database) -> Iterator[sa.Connection]:
        name, jobs = getattr(here, "call", ("", []))
        with writing(self) as connection:
            before = {
                each.number: read_row(connection, each.number) for each in jobs if _is_lost(connection, each)
            }
            words = dict.fromkeys(before, "refused")
            try:
                yield connection
                words |= {
                    each.number: "accepted"
                    for each in jobs
                    if each.number in before and read_row(connection, each.number) != before[each.number]
                }
            finally:
                notes.extend(f"{word} {name} of row {number}" for number, word in words.items())

    Database.writing = watched  # type: ignore[method-assign]


def _is_lost(connection: sa.Connection, each: Job) -> bool:
    return (
        connection.execute(sa.text(_IS_LOST), {"row": each.number, "owner": each.owner_id}).first()
        is not None
    )
