"""Open a database: engines, pragmas, BEGIN IMMEDIATE, and what a file must be to be ours."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from openeo_jobs.errors import (
    DatabaseBusyError,
    DatabaseError,
    NotACampaignError,
    SqliteTooOldError,
    UsageError,
)
from openeo_jobs.storage.filesystem import is_on_network
from openeo_jobs.storage.schema import APPLICATION_ID

SQLITE_NEEDED = (3, 34, 0)
BUSY_TIMEOUT_SECONDS = 60.0
_MAGIC = b"SQLite format 3\x00"
_WAL_VERSION = b"\x02"
_BUSY_WORDS = ("database is locked", "database table is locked")


class Database:
    """A campaign's database file, with one connection that writes and others that read.

    `writing()` and `reading()` each are one transaction; neither may be open while the network is used.
    """

    def __init__(self, path: Path, *, journal_mode: str | None = None, foreign_keys: bool = True) -> None:
        self.path = path
        self._foreign_keys = foreign_keys
        self._journal_mode = journal_mode or choose_journal_mode(path)
        self._writer = _engine(path, self._prepare_writer, begin="BEGIN IMMEDIATE")
        self._reader = _engine(path, _prepare_reader, begin="BEGIN")
        self._write_lock = threading.Lock()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open one transaction that may write; it holds the file's write lock from its first moment."""
        with self._write_lock, _errors_of(self.path), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open one transaction that only reads; fetch everything before it ends."""
        with _errors_of(self.path), self._reader.begin() as connection:
            yield connection

    def leave_wal(self) -> None:
        """Set a file that is in WAL mode back to the rollback journal where WAL is not safe.

        To be called before anything is read: a connection that reads in WAL mode would be in the way.
        """
        with self.path.open("rb") as file:
            write_version = file.read(19)[18:]
        if self._journal_mode != "WAL" and write_version == _WAL_VERSION:
            with self.writing():
                pass

    def close(self) -> None:
        """Close every connection."""
        self._writer.dispose()
        self._reader.dispose()

    def _prepare_writer(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA foreign_keys={'ON' if self._foreign_keys else 'OFF'}")
        connection.execute(f"PRAGMA journal_mode={self._journal_mode}")
        # FULL does not wait until the disk has the removal of the journal: one that comes back after a power
        # cut undoes what was committed (sqlite.org/pragma.html#pragma_synchronous).
        connection.execute("PRAGMA synchronous=EXTRA")


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise `SqliteTooOldError` unless the linked SQLite can do what the schema needs."""
    if version < SQLITE_NEEDED:
        found, needed = (".".join(map(str, v)) for v in (version, SQLITE_NEEDED))
        raise SqliteTooOldError(
            f"Python is linked to SQLite {found}, but {needed} or newer is needed; "
            "use a newer Python, or one from conda-forge or python.org"
        )


def check_file(path: Path) -> None:
    """Raise `NotACampaignError` unless *path* is a database of ours; the file is not touched."""
    if path.is_dir():
        raise NotACampaignError(f"{path} is a folder; name a file in it, such as {path / 'jobs.sqlite'}")
    with path.open("rb") as file:
        header = file.read(100)
    if header[:16] != _MAGIC:
        raise NotACampaignError(
            f"{path} is not a SQLite database; it is left as it is. Name another file for the campaign"
        )
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotACampaignError(
            f"{path} is a SQLite database of another program; it is left as it is. "
            "Name another file for the campaign"
        )


def path_in_url(url: str) -> str:
    """Return the path in a URL such as `sqlite:///jobs.sqlite`; other databases are refused."""
    try:
        parts = sa.engine.make_url(url)
    except sa.exc.ArgumentError as error:
        raise UsageError(f"{url!r} is no URL of a database; give a path such as jobs.sqlite") from error
    if parts.get_backend_name() != "sqlite" or not parts.database:
        raise UsageError(
            f"a database of {parts.get_backend_name()} is not supported yet; give a path such as jobs.sqlite"
        )
    return parts.database


def choose_journal_mode(path: Path, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """Return WAL where the linked SQLite is free of its corruption bug and the disk is local, else DELETE.

    Source: sqlite.org/wal.html, "The WAL-reset bug": 3.7.0 to 3.51.2, fixed in 3.51.3, 3.50.7 and 3.44.6;
    and "WAL does not work over a network filesystem".
    """
    is_fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return "WAL" if is_fixed and not is_on_network(path) else "DELETE"


def create_file(path: Path) -> None:
    """Create an empty file that only its owner may read."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only=ON")


def _engine(path: Path, prepare: Any, *, begin: str) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={
            "timeout": BUSY_TIMEOUT_SECONDS,
            "isolation_level": None,
            "check_same_thread": False,
        },
    )

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        prepare(connection)

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        text = str(error.orig)
        if any(word in text for word in _BUSY_WORDS):
            raise DatabaseBusyError(
                f"{path} was held by another program for {BUSY_TIMEOUT_SECONDS:.0f} s; "
                "close what has it open (a database browser, a notebook, a backup)"
            ) from error
        raise DatabaseError(f"{path}: {text}") from error
    except sa.exc.DatabaseError as error:
        if "malformed" in str(error.orig) or "not a database" in str(error.orig):
            raise DatabaseError(f"{path}: {error.orig}; restore a backup copy") from error
        raise
