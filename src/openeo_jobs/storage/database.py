"""Open a database: engines, pragmas, BEGIN IMMEDIATE, and what a file must be to be ours."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import sqlalchemy as sa

from openeo_jobs.errors import NotACampaignError, SqliteTooOldError, UsageError
from openeo_jobs.storage.filesystem import is_on_network
from openeo_jobs.storage.identity import Identity
from openeo_jobs.storage.schema import APPLICATION_ID
from openeo_jobs.storage.trouble import errors_of

SQLITE_NEEDED = (3, 34, 0)
BUSY_TIMEOUT_SECONDS = 60.0
_MAGIC = b"SQLite format 3\x00"
_WAL_VERSION = b"\x02"


class Database:
    """A campaign's database file, with one connection that writes and others that read.

    `writing()` and `reading()` each are one transaction; neither may be open while the network is used.
    """

    def __init__(
        self,
        path: Path,
        *,
        journal_mode: str | None = None,
        foreign_keys: bool = True,
        busy_timeout: float | None = None,
    ) -> None:
        self.path = path
        self._foreign_keys = foreign_keys
        self._busy_timeout = BUSY_TIMEOUT_SECONDS if busy_timeout is None else busy_timeout
        self._journal_mode = journal_mode or choose_journal_mode(path)
        self._identity = Identity(path)
        self._writer = self._engine(self._prepare_writer, begin="BEGIN IMMEDIATE")
        self._reader = self._engine(_prepare_reader, begin="BEGIN")
        self._write_lock = threading.Lock()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open one transaction that may write; it holds the file's write lock from its first moment."""
        with self._write_lock, self._errors(), self._writer.begin() as connection:
            self._identity.check(connection)
            yield connection
            self._identity.check_file()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open one transaction that only reads; fetch everything before it ends."""
        with self._errors(), self._reader.begin() as connection:
            self._identity.check_file()
            yield connection

    def expect_runner(self, runner_id: int, uuid: str) -> None:
        """Write only while this runner is in the database: in another one, or an older copy, it is not."""
        self._identity.expect_runner(runner_id, uuid)

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

    def _errors(self) -> AbstractContextManager[None]:
        return errors_of(self.path, busy_timeout=self._busy_timeout)

    def _engine(self, prepare: Callable[[sqlite3.Connection], None], *, begin: str) -> sa.Engine:
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(self.path)), creator=self._connect)

        @sa.event.listens_for(engine, "connect")
        def on_connect(connection: sqlite3.Connection, _record: object) -> None:
            prepare(connection)

        @sa.event.listens_for(engine, "begin")
        def on_begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def _connect(self) -> sqlite3.Connection:
        """Connect to the file that was there at first; one that is gone is not made anew (`mode=rw`)."""
        self._identity.check_file()
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )

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
