"""Crash points: before and after every commit, every request and every rename, found by their names alone.

A commit is named after the public method of the store that makes it, a request after its endpoint, a rename
after its target. Nothing in the package knows of them, so a new method or request has its points by itself.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import requests
import sqlalchemy as sa

from openeo_jobs.storage import database as database_module
from openeo_jobs.storage.creations import Creations
from openeo_jobs.storage.database import Database

PassBy = Callable[[str], None]


def install(pass_by: PassBy) -> None:
    """Call *pass_by* with the name of every crash point that is passed from now on."""
    _watch_commits(pass_by)
    _watch_requests(pass_by)
    _watch_renames(pass_by)


def die_at(point: str) -> PassBy:
    """Return a `pass_by` that kills this process when it comes to *point*."""

    def pass_by(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


def spill_early() -> None:
    """Let SQLite write into the file before the commit, so that a crash leaves a hot journal behind."""
    _set_pragma("cache_size=1")


def sync_nothing() -> None:
    """Never wait until the disk has something."""
    _set_pragma("synchronous=OFF")


def sync_no_folders() -> None:
    """Wait until the disk has the content of files, but not that one was removed."""
    _set_pragma("synchronous=FULL")


def _set_pragma(pragma: str) -> None:
    prepare = Database._prepare_writer

    def prepare_otherwise(self: Database, connection: sqlite3.Connection) -> None:
        prepare(self, connection)
        connection.execute(f"PRAGMA {pragma}")

    Database._prepare_writer = prepare_otherwise  # type: ignore[method-assign]


def force_wal() -> None:
    """Use WAL also where the linked SQLite is not safe with it: one process writes, and none reads."""
    database_module.choose_journal_mode = lambda path: "WAL"  # type: ignore[assignment, misc]


def leave_out_the_intent() -> None:
    """Store a create request only once its answer is here: what a tracker does that knows no intents."""
    record_intent, record_outcome = Creations.record_intent, Creations.record_outcome
    pending: dict[int, tuple[Any, dict[str, Any]]] = {}

    def remember(self: Creations, each: Any, **values: Any) -> int:
        pending[-len(pending) - 1] = (each, values)
        return -len(pending)

    def record_both(self: Creations, number: int, **values: Any) -> None:
        each, intent = pending[number]
        record_outcome(self, record_intent(self, each, **intent), **values)

    Creations.record_intent = remember  # type: ignore[method-assign]
    Creations.record_outcome = record_both  # type: ignore[method-assign]


def _watch_commits(pass_by: PassBy) -> None:
    writing = Database.writing

    @contextmanager
    def watched(self: Database, name: str) -> Iterator[sa.Connection]:
        with writing(self) as connection:
            yield connection
            pass_by(f"before {name}")
        pass_by(f"after {name}")

    def write(self: Database) -> Any:
        return watched(self, _name_of(sys._getframe(1)))

    Database.writing = write  # type: ignore[method-assign]


def _name_of(frame: FrameType | None) -> str:
    """Return `creations.record_intent` for a transaction of that method, or of what it calls."""
    while frame is not None and frame.f_code.co_name.startswith("_"):
        frame = frame.f_back
    assert frame is not None
    return f"{frame.f_globals['__name__'].rpartition('.')[2]}.{frame.f_code.co_name}"


def _watch_requests(pass_by: PassBy) -> None:
    send = requests.Session.send

    def watched(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        path = re.sub(r"\w+-\d+", "{job_id}", urlsplit(str(request.url)).path)
        pass_by(f"before {request.method} {path}")
        response = send(self, request, **kwargs)
        pass_by(f"after {request.method} {path}")
        return response

    requests.Session.send = watched  # type: ignore[method-assign]


def _watch_renames(pass_by: PassBy) -> None:
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        name = re.sub(r"\w+-\d+", "{job_id}", Path(target).name)
        pass_by(f"before rename to {name}")
        moved = replace(self, target)
        pass_by(f"after rename to {name}")
        return moved

    Path.replace = watched  # type: ignore[method-assign]
