"""The CSV: always whole, in upstream's words, only written when something changed."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openeo
import pandas as pd
import pytest
from openeo.extra.job_management import CsvJobDatabase

from campaigning import make_rows, query, start_job
from openeo_jobs.campaign.mirrors import FileMirror
from openeo_jobs.frames import encode_table
from openeo_jobs.storage.store import open_store, open_store_for_run

pytestmark = pytest.mark.wheel

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)


def test_a_reader_always_finds_the_csv_whole(make_manager, north, tmp_path: Path) -> None:
    csv, rows = tmp_path / "jobs.csv", 3000
    is_over, torn = threading.Event(), []

    def read() -> None:
        while not is_over.is_set():
            content = csv.read_bytes() if csv.exists() else None
            if content is not None and content.count(b"\n") != rows + 1:
                torn.append(len(content))

    def callback(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob | None:
        return start_job(row, connection) if row.name < 20 else None

    reader = threading.Thread(target=read)
    reader.start()
    try:
        frame = make_rows(rows).assign(priority=lambda df: -df.index)
        manager = make_manager(north)
        manager.on_job_done = lambda job, row: None
        manager.run_jobs(frame.iloc[:rows], stop_after(callback, 40), csv)
    except KeyboardInterrupt:
        pass
    finally:
        is_over.set()
        reader.join()
    assert csv.exists()
    assert not torn


def stop_after(callback, calls: int):
    """End the run from inside, as a Ctrl-C does."""
    import signal

    count = iter(range(calls))

    def stopping(**kwargs: Any) -> openeo.BatchJob | None:
        if next(count, None) is None:
            signal.raise_signal(signal.SIGINT)
        return callback(**kwargs)

    return stopping


def test_openeos_own_reader_finds_ids_and_statuses(make_manager, north, tmp_path: Path) -> None:
    frame = pd.DataFrame({"tile": ["007", "NA", 'a "quoted", one'], "note": ["line\nbreak", None, "ü"]})
    make_manager(north).run_jobs(frame, start_job, tmp_path / "jobs.csv")
    read = CsvJobDatabase(tmp_path / "jobs.csv").read()
    assert list(read["status"]) == ["finished"] * 3
    assert list(read["id"]) == [
        one for (one,) in query(tmp_path / "jobs.sqlite", "SELECT id FROM jobs ORDER BY job")
    ]
    assert list(read["tile"])[2] == 'a "quoted", one'


def check_is_ours(store, csv: Path, caplog) -> None:
    """The file is what was last written: nothing of it is taken for an edit."""
    caplog.set_level("INFO", "openeo_jobs")
    FileMirror(store, csv).take_over_edits(at=store.campaigns.load().created_at)
    assert "was edited" not in caplog.text


def test_it_is_written_only_when_something_changed(make_manager, north, tmp_path: Path, caplog) -> None:
    csv = tmp_path / "jobs.csv"
    make_manager(north).run_jobs(make_rows(2), start_job, csv)
    with open_store(tmp_path / "jobs.sqlite") as store:
        mirror = FileMirror(store, csv)
        before = csv.stat().st_mtime_ns
        assert not mirror.write()
        store.retries.retry(store.jobs.all()[:1], reason="test", at=store.campaigns.load().created_at)
        assert mirror.write()
        assert not mirror.write()
        assert csv.stat().st_mtime_ns > before
        csv.unlink()
        assert mirror.write()
        check_is_ours(store, csv, caplog)


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_crash_around_the_rename_makes_no_edited_file_of_it(
    make_manager, north, tmp_path: Path, monkeypatch, caplog, is_renamed: bool
) -> None:
    csv = tmp_path / "jobs.csv"
    make_manager(north).run_jobs(make_rows(2), start_job, csv)
    with open_store(tmp_path / "jobs.sqlite") as store:
        store.retries.retry(store.jobs.all(), reason="test", at=store.campaigns.load().created_at)
        replace = Path.replace

        def die(self: Path, target: Path) -> None:
            if is_renamed:
                replace(self, target)
            raise SystemExit

        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(Path, "replace", die)
            FileMirror(store, csv).write()
        check_is_ours(store, csv, caplog)
    make_manager(north).run_jobs(make_rows(2), start_job, csv)


def test_a_campaign_may_be_moved_to_another_folder(make_manager, north, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    make_manager(north).run_jobs(make_rows(2), start_job, tmp_path / "here" / "jobs.csv")
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    make_manager(north).run_jobs(make_rows(2), start_job, "jobs.csv")


def test_a_csv_that_was_open_in_excel_for_long_is_no_edited_file(
    make_manager, north, tmp_path: Path, monkeypatch, caplog
) -> None:
    csv = tmp_path / "jobs.csv"
    make_manager(north).run_jobs(make_rows(3), start_job, csv)

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError("open in Excel")

    with open_store(tmp_path / "jobs.sqlite") as store, monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        for job in store.jobs.all():
            store.retries.retry([job], reason="test", at=store.campaigns.load().created_at)
            assert not FileMirror(store, csv).write()
        check_is_ours(store, csv, caplog)


def test_what_another_process_writes_is_no_edit(tmp_path: Path) -> None:
    """Two mirrors of one campaign, each with its own view of when it was last written."""
    database, path = tmp_path / "jobs.sqlite", tmp_path / "jobs.csv"
    with open_store_for_run(database, is_dead=lambda _: True) as one, open_store(database) as other:
        one.campaigns.begin(encode_table(make_rows(3)), uid="c0ffee123456", at=NOW)
        mirrors = [FileMirror(store, path) for store in (one, other)]
        for number in (1, 2, 3):
            query_and_commit(database, f"UPDATE job SET status = 'canceled' WHERE id = {number}")
            assert [mirror.write() for mirror in mirrors] == [True, False]
            mirrors.reverse()
        mirrors[1].take_over_edits(at=NOW)
    assert [one.name for one in tmp_path.glob("jobs.csv*")] == ["jobs.csv"]
    assert query(database, "SELECT DISTINCT status FROM job") == [("canceled",)]


def test_an_older_content_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    with open_store_for_run(tmp_path / "jobs.sqlite", is_dead=lambda _: True) as store:
        store.campaigns.begin(encode_table(make_rows(1)), uid="c0ffee123456", at=NOW)
        written: list[str] = []
        assert store.campaigns.announce_mirror("a.csv", "old", 1)
        assert store.campaigns.announce_mirror("a.csv", "new", 2)
        assert not store.campaigns.announce_mirror("a.csv", "older", 1)
        assert store.campaigns.publish_mirror("a.csv", "new", 2, lambda known: written.append("new"))
        assert not store.campaigns.publish_mirror("a.csv", "old", 1, lambda known: written.append("old"))
        assert written == ["new"]


def query_and_commit(database: Path, sql: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql)
