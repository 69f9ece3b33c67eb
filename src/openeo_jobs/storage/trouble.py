"""What errors of SQLite mean: each becomes one of ours, with what helps."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from openeo_jobs.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseReadOnlyError,
    DatabaseReplacedError,
    DatabaseUnavailableError,
)
from openeo_jobs.storage.filesystem import find_holders

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@contextmanager
def errors_of(path: Path, *, busy_timeout: float) -> Iterator[None]:
    """Raise what SQLite raises meanwhile as one of our errors; *busy_timeout* is how long it waits, in s."""
    try:
        yield
    except sa.exc.DatabaseError as error:
        raise _translate(path, error, busy_timeout) from error


def _translate(path: Path, error: sa.exc.DatabaseError, busy_timeout: float) -> Exception:
    text, code = str(error.orig), getattr(error.orig, "sqlite_errorcode", 0)
    kind = code & 0xFF
    if kind in _BUSY:
        return DatabaseBusyError(_say_busy(path, busy_timeout))
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return DatabaseReplacedError(f"{path} was moved or replaced while it was in use")
    if kind == sqlite3.SQLITE_READONLY or (kind == sqlite3.SQLITE_CANTOPEN and not _may_write(path)):
        return DatabaseReadOnlyError(
            f"{path} cannot be written ({text}): this user needs the right to write the file and its folder; "
            f"see: ls -ld {path} {path.parent}"
        )
    if kind in _PASSING:
        name = getattr(error.orig, "sqlite_errorname", "")
        return DatabaseUnavailableError(
            f"{path} cannot be used for now: {text} ({name}); make room on its disk, or mend it"
        )
    if kind in _BROKEN:
        return DatabaseError(f"{path}: {text}; restore a backup copy")
    return DatabaseError(f"{path}: {text}") if isinstance(error, sa.exc.OperationalError) else error


def _may_write(path: Path) -> bool:
    """Say whether the file and, as a journal is made beside it, its folder may be written."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _say_busy(path: Path, busy_timeout: float) -> str:
    holders = find_holders(path)
    who = f": {', '.join(holders)}" if holders else ""
    return (
        f"{path} was held by another program for {busy_timeout:g} s{who}; "
        "close what has it open (a database browser, a notebook, a backup)"
    )
