"""Transactions, pragmas, journal modes; other programs that hold the file, and readers."""

from __future__ import annotations

import sqlite3
import threading
from collections import namedtuple
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from storage_tools import NOW, campaign_at, claim_one, is_dead, make_runner, make_tiles, run_sql

from openeo_jobs.errors import DatabaseBusyError, DatabaseError
from openeo_jobs.storage import database as database_module
from openeo_jobs.storage.database import Database, choose_journal_mode
from openeo_jobs.storage.filesystem import is_on_network
from openeo_jobs.storage.store import JobStore, open_store, open_store_for_run

Mount = namedtuple("Mount", ["mountpoint", "fstype"])


def mount(monkeypatch: pytest.MonkeyPatch, mounts: Sequence[tuple[str, str]]) -> None:
    """Let psutil say that these are all the mounts there are."""
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [Mount(*each) for each in mounts])


@pytest.fixture
def database(store: JobStore, path: Path) -> Database:
    store.close()
    return Database(path)


def test_a_writer_flushes_to_the_disk(database: Database) -> None:
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


def test_a_writer_has_the_lock_from_its_first_moment(database: Database, path: Path) -> None:
    with (
        database.writing(),
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    database.close()


def test_a_transaction_that_fails_changes_nothing(database: Database, path: Path) -> None:
    with pytest.raises(RuntimeError), database.writing() as connection:
        connection.exec_driver_sql("UPDATE job SET priority = 7")
        raise RuntimeError
    database.close()
    assert run_sql(path, "SELECT DISTINCT priority FROM job") == [(0.0,)]


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseError, match="readonly"), database.reading() as connection:
        connection.exec_driver_sql("UPDATE job SET priority = 7")
    database.close()


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 34, 0), "DELETE"),
        ((3, 40, 1), "DELETE"),
        ((3, 44, 5), "DELETE"),
        ((3, 44, 6), "WAL"),
        ((3, 44, 9), "WAL"),
        ((3, 45, 0), "DELETE"),
        ((3, 45, 3), "DELETE"),
        ((3, 50, 6), "DELETE"),
        ((3, 50, 7), "WAL"),
        ((3, 51, 0), "DELETE"),
        ((3, 51, 2), "DELETE"),
        ((3, 51, 3), "WAL"),
        ((3, 52, 0), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
)
def test_wal_is_used_where_the_linked_sqlite_is_safe(
    monkeypatch: pytest.MonkeyPatch, path: Path, version: tuple[int, ...], mode: str
) -> None:
    mount(monkeypatch, [("/", "ext4")])

    assert choose_journal_mode(path, version) == mode


@pytest.mark.parametrize(
    "name", ["nfs", "nfs4", "cifs", "smbfs", "NFS4", "fuse.sshfs", "fuse", "9p", "lustre", "vboxsf"]
)
def test_wal_is_never_used_on_a_network_file_system(
    monkeypatch: pytest.MonkeyPatch, path: Path, name: str
) -> None:
    mount(monkeypatch, [("/", "ext4"), (str(path.parent), name)])

    assert choose_journal_mode(path, (3, 51, 3)) == "DELETE"


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([("/", "ext4")], False),
        ([("/", "nfs4"), ("/data", "xfs")], False),
        ([("/", "ext4"), ("/data", "nfs4")], True),
        ([("/data", "nfs4"), ("/data/local", "xfs"), ("/", "ext4")], False),
        ([("/", "ext4"), ("/dat", "nfs4")], False),
        ([("/", "ext4"), ("/data", "autofs"), ("/data", "nfs4")], True),
        ([], True),
    ],
)
def test_the_deepest_mount_counts(
    monkeypatch: pytest.MonkeyPatch, mounts: Sequence[tuple[str, str]], expected: bool
) -> None:
    mount(monkeypatch, mounts)

    assert is_on_network(Path("/data/local/jobs.sqlite")) is expected


def test_a_link_to_a_network_file_system_counts_as_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mount(monkeypatch, [("/", "ext4"), (str(tmp_path / "far"), "nfs4")])

    assert is_on_network(tmp_path / "near" / "jobs.sqlite")


def test_a_wal_file_is_set_back_where_wal_is_not_safe(
    monkeypatch: pytest.MonkeyPatch, store: JobStore, path: Path
) -> None:
    mount(monkeypatch, [("/", "nfs4")])
    store.close()
    assert run_sql(path, "PRAGMA journal_mode=WAL") == [("wal",)]

    with open_store_for_run(path, is_dead=is_dead) as opened:
        opened.jobs.all()
        opened.runners.begin(make_runner(), is_dead=is_dead, at=NOW)
        assert run_sql(path, "PRAGMA journal_mode") == [("delete",)]


def test_a_wal_file_is_kept_where_wal_is_safe(path: Path) -> None:
    with campaign_at(path, make_tiles(1)):
        pass
    run_sql(path, "PRAGMA journal_mode=WAL")
    database = Database(path, journal_mode="WAL")
    database.leave_wal()
    database.close()

    assert run_sql(path, "PRAGMA journal_mode") == [("wal",)]


def test_a_file_that_another_program_holds_is_busy_and_says_so(
    monkeypatch: pytest.MonkeyPatch, store: JobStore, runner_id: int, path: Path
) -> None:
    store.close()
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.1)
    with (
        open_store(path) as opened,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusyError, match=r"held by another program.*close what has it open"):
            claim_one(opened, runner_id)
        with pytest.raises(DatabaseBusyError):
            opened.jobs.all()
        other.execute("ROLLBACK")
        assert claim_one(opened, runner_id).number == 1


def test_a_file_that_is_held_from_the_beginning_is_busy(
    monkeypatch: pytest.MonkeyPatch, store: JobStore, path: Path
) -> None:
    store.close()
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusyError):
            open_store(path)


def test_a_writer_waits_for_a_reader_that_has_the_file_open(
    store: JobStore, runner_id: int, path: Path
) -> None:
    select = "SELECT count(*) FROM job WHERE status = 'submitting'"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute(select).fetchone()
        writer = threading.Thread(target=claim_one, args=(store, runner_id))
        writer.start()
        during = reader.execute(select).fetchone()
        reader.execute("COMMIT")
        writer.join()
        after = reader.execute(select).fetchone()

    assert (before, during, after) == ((0,), (0,), (1,))


def test_a_reader_never_sees_a_half_written_state(path: Path) -> None:
    select = (
        "SELECT (SELECT count(*) FROM job WHERE status = 'submitting'), (SELECT count(*) FROM attempt),"
        " (SELECT count(*) FROM status_change), (SELECT count(*) FROM job WHERE owner_id IS NOT NULL)"
    )
    with campaign_at(path, make_tiles(120)) as store:
        runner_id = store.runners.begin(make_runner(), is_dead=is_dead, at=NOW)
        writer = threading.Thread(target=claim_in_fours, args=(store, runner_id))
        writer.start()
        seen = set()
        with closing(sqlite3.connect(path, timeout=60)) as reader:
            while writer.is_alive():
                seen.add(reader.execute(select).fetchone())
        writer.join()

    assert len(seen) > 1
    assert [counts for counts in seen if len(set(counts)) > 1 or counts[0] % 4] == []


def claim_in_fours(store: JobStore, runner_id: int) -> None:
    while store.claims.claim(runner_id=runner_id, caps={"north": 1000}, at=NOW, limit=4):
        pass


def test_a_file_that_was_damaged_says_what_helps(store: JobStore, path: Path) -> None:
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))

    with pytest.raises(DatabaseError, match="restore a backup copy"):
        open_store(path)
