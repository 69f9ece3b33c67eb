"""The database under stress: the campaign waits or stops, says why, and nothing is created twice."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench import Bench, make_runner

from campaigning import query
from openeo_jobs.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseReadOnlyError,
    DatabaseReplacedError,
    DatabaseUnavailableError,
    JobMovedError,
)
from openeo_jobs.status import JobStatus
from openeo_jobs.storage import database as database_module
from openeo_jobs.storage.migrate import find_scripts
from openeo_jobs.storage.store import open_store_for_run
from openeo_jobs.tracking import loop

resource = pytest.importorskip("resource", reason="limits of file sizes are of POSIX")
NOBODY = 65534


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let every file of this process end at *size* bytes: what is written beyond fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def is_whole(path: Path) -> bool:
    return query(path, "PRAGMA integrity_check") == [("ok",)] and not query(path, "PRAGMA foreign_key_check")


def keep_going(bench: Bench, *, trouble: Callable[[int], None], rounds: int) -> None:
    """Go on for so many rounds; *trouble* is called before each, with its number from 1."""
    done = 0

    def do_round() -> None:
        nonlocal done
        done += 1
        trouble(done)
        loop.do_one_round(bench.run)
        if done == rounds:
            bench.run.stop()

    loop.keep_going(bench.run, do_round)


def test_a_row_that_somebody_has_changed_ends_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last resort: each step leaves such a row alone by itself."""
    bench = Bench(tmp_path, poll_sleep=0.01)

    def trouble(number: int) -> None:
        if number == 1:
            raise JobMovedError("row 1 is no longer as it was read")

    keep_going(bench, trouble=trouble, rounds=2)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert "row 1 is no longer as it was read; the next round" in caplog.text
    loop.drain(bench.run, 5)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, rows=4, cap=4, poll_sleep=0.01, downloads_results=False)


def test_a_full_disk_lets_the_campaign_wait_and_nothing_leaves(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    limit = file_size_limit(512)

    def trouble(number: int) -> None:
        assert bench.count("create") == len(bench.gateway.batch_jobs) == 0
        if number == 1:
            limit.__enter__()
        if number == 4:
            limit.__exit__(None, None, None)

    keep_going(bench, trouble=trouble, rounds=4)

    told = [r.message for r in caplog.records if "cannot be used for now" in r.message]
    assert len(told) == 1
    assert "make room on its disk" in told[0]
    assert any("can be used again" in r.message for r in caplog.records)
    assert bench.count_creations() == {1: 1, 2: 1, 3: 1, 4: 1}
    assert is_whole(bench.store.path)


def test_a_disk_that_fills_up_at_any_moment_creates_nothing_twice(bench: Bench) -> None:
    """The disk is full for the n-th transaction of a round, for every n; each time there is room later."""
    for nth in range(1, 12):
        with full_from(bench, nth), suppress(DatabaseUnavailableError):
            bench.round(60)
    bench.round(200)
    bench.round(200)

    assert bench.count_creations() == {1: 1, 2: 1, 3: 1, 4: 1}
    assert [job.starts for job in bench.gateway.batch_jobs.values()] == [1] * 4
    assert is_whole(bench.store.path)


def test_a_callback_that_takes_no_notice_skips_no_row(bench: Bench) -> None:
    create = bench.script

    def create_or_skip(*arguments):
        with suppress(DatabaseUnavailableError), file_size_limit(512):
            return create(*arguments)

    bench.script = create_or_skip
    with pytest.raises(DatabaseUnavailableError):
        bench.round()
    assert (bench.status(), bench.gateway.batch_jobs) == (JobStatus.SUBMITTING, {})


def test_a_disk_that_is_full_whenever_a_request_is_to_leave_fails_no_row(bench: Bench) -> None:
    """The row does not end the process, though nothing becomes of its calls."""
    create = bench.script

    def create_without_room(*arguments):
        with file_size_limit(512):
            return create(*arguments)

    bench.script = create_without_room
    for _ in range(6):
        with pytest.raises(DatabaseUnavailableError):
            bench.round(60)
    bench.script = create
    bench.round(60)
    bench.round(60)
    assert bench.count_creations() == {1: 1, 2: 1, 3: 1, 4: 1}


@contextmanager
def full_from(bench: Bench, nth: int) -> Iterator[None]:
    """Let the disk be full from the *nth* transaction that writes."""
    database = bench.store._database
    writing, count = database.writing, 0

    @contextmanager
    def count_and_write():
        nonlocal count
        count += 1
        with file_size_limit(512) if count >= nth else nullcontext(), writing() as connection:
            yield connection

    database.writing = count_and_write
    try:
        yield
    finally:
        del database.writing


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount")
def test_a_disk_without_room_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(small)], check=False)
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        bench = Bench(small, rows=4)
        filler = small / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        with pytest.raises(DatabaseUnavailableError, match=r"full.*make room on its disk"):
            bench.round()
        filler.unlink()
        bench.round()
        assert bench.count_creations() == {1: 1, 2: 1, 3: 1, 4: 1}
        bench.close()
        Bench.opened.clear()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_an_error_of_the_disk_lets_the_campaign_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"

    def trouble(number: int) -> None:
        if number < 3:
            monkeypatch.setattr("sqlalchemy.engine.default.DefaultDialect.do_commit", raise_it)
        else:
            monkeypatch.undo()

    def raise_it(*_: object) -> None:
        raise error

    keep_going(bench, trouble=trouble, rounds=3)

    assert [r.message.count("SQLITE_IOERR_FSYNC") for r in caplog.records if "for now" in r.message] == [1]
    assert bench.count_creations() == {1: 1, 2: 1, 3: 1, 4: 1}


def test_a_database_that_may_not_be_written_stops_the_run_before_anything_is_changed(tmp_path: Path) -> None:
    with open_to_nobody(tmp_path) as folder:
        path = folder / "jobs.sqlite"
        before = path.read_bytes()
        with as_nobody(), pytest.raises(DatabaseReadOnlyError, match=r"cannot be written.*ls -ld"):
            begin_run(path, folder / "migrations")
        assert path.read_bytes() == before
        path.chmod(0o666)  # the file may be written now, but no journal beside it
        with as_nobody(), pytest.raises(DatabaseReadOnlyError, match=r"cannot be written.*ls -ld"):
            begin_run(path, folder / "migrations")
        assert path.read_bytes() == before
        with as_nobody(), pytest.raises(DatabaseReadOnlyError, match="cannot be made"):
            begin_run(folder / "new.sqlite", folder / "migrations")
        assert sorted(one.name for one in folder.iterdir()) == ["jobs.sqlite", "migrations"]


@contextmanager
def open_to_nobody(tmp_path: Path) -> Iterator[Path]:
    """Make a folder with a campaign in it that others may read, and nobody else may write."""
    Bench(tmp_path, rows=2).close()
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        shutil.copy(tmp_path / "jobs.sqlite", folder)
        shutil.copytree(find_scripts(), folder / "migrations")  # ours may lie where only root may read
        (folder / "jobs.sqlite").chmod(0o444)
        folder.chmod(0o555)
        yield folder
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user without rights, where this process is root, to whom everything is allowed."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def begin_run(path: Path, scripts: Path) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    with open_store_for_run(path, is_dead=lambda runner: True, scripts=scripts) as store:
        store.runners.begin(make_runner(9, at=at), is_dead=lambda runner: True, at=at)


def test_a_file_that_is_deleted_stops_the_run_and_none_is_made_anew(bench: Bench) -> None:
    bench.round()
    bench.store.path.unlink()
    with pytest.raises(DatabaseReplacedError, match=r"was deleted.*Put the file back"):
        loop.keep_going(bench.run, lambda: loop.do_one_round(bench.run))
    assert not bench.store.path.exists()


def test_a_file_that_is_deleted_while_start_job_runs_lets_nothing_leave(bench: Bench) -> None:
    create = bench.script

    def delete_and_create(*arguments):
        bench.store.path.unlink(missing_ok=True)
        return create(*arguments)

    bench.script = delete_and_create
    with pytest.raises(DatabaseReplacedError):
        bench.round()
    assert bench.gateway.batch_jobs == {}


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("by", ["another campaign", "an older copy"])
def test_a_file_that_is_replaced_stops_the_run_and_stays_as_it_is(
    bench: Bench, tmp_path: Path, in_place: bool, by: str
) -> None:
    other = tmp_path / "other.sqlite"
    if by == "an older copy":
        back_up(bench.store.path, other)
    else:
        (tmp_path / "elsewhere").mkdir()
        elsewhere = Bench(tmp_path / "elsewhere", rows=9)
        elsewhere.round()
        back_up(elsewhere.store.path, other)
    bench.round()
    content = other.read_bytes()
    if in_place:
        shutil.copyfile(other, bench.store.path)
    else:
        other.replace(bench.store.path)

    with pytest.raises(DatabaseReplacedError, match="while it was in use"):
        loop.keep_going(bench.run, lambda: loop.do_one_round(bench.run))

    assert bench.store.path.read_bytes() == content
    assert len(bench.gateway.batch_jobs) == 4


def test_a_share_that_is_mounted_anew_is_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount gets another device number then, and its files keep their inodes."""
    bench.round()
    look = Path.stat

    def look_anew(path: Path, **options: bool) -> os.stat_result:
        found = look(path, **options)
        return os.stat_result((found[0], found[1], found[2] + 1, *found[3:]))

    monkeypatch.setattr(Path, "stat", look_anew)
    bench.round(10)
    bench.store.close()  # what is connected to anew, too
    bench.round(10)
    assert len(bench.gateway.batch_jobs) == 4


def back_up(path: Path, copy: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def test_a_program_that_holds_the_file_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.1)
    bench.restart()
    with holding(bench.store.path, "BEGIN EXCLUSIVE") as pid:
        says = pytest.raises(DatabaseBusyError, match=rf"another program for 0.1 s: pid {pid} \(.*close")
        with says:
            bench.round()
    bench.round()
    assert bench.status() is JobStatus.QUEUED_FOR_START


@contextmanager
def holding(path: Path, statement: str) -> Iterator[int]:
    """Let another process hold the file; yield its pid."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute(sys.argv[2]); c.execute('SELECT count(*) FROM job').fetchall(); "
        "print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, str(path), statement]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate("")


def test_a_reader_that_keeps_the_file_lets_the_campaign_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.1)
    bench.restart()
    reader = holding(bench.store.path, "BEGIN")
    pids: list[int] = []

    def trouble(number: int) -> None:
        if number == 1:
            pids.append(reader.__enter__())
        if number == 3:
            reader.__exit__(None, None, None)

    with caplog.at_level(logging.WARNING):
        keep_going(bench, trouble=trouble, rounds=3)

    assert [f"pid {pids[0]} " in r.message for r in caplog.records if "was held" in r.message] == [True]
    assert bench.count_creations() == {1: 1, 2: 1, 3: 1, 4: 1}


def test_other_errors_of_the_database_are_still_errors(bench: Bench) -> None:
    with pytest.raises(DatabaseError, match="no such table"), bench.store._database.reading() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
