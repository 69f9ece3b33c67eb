"""Results, file by file: what is fetched, tried again, left out, and what is stored of it."""

from __future__ import annotations

import errno
import logging
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import Bench

from openeo_jobs.backends.fetching import Terms
from openeo_jobs.errors import (
    BackendAnswerError,
    BackendRefusedError,
    DatabaseUnavailableError,
    DownloadInterruptedError,
)
from openeo_jobs.jobs import ResultsStatus
from openeo_jobs.report.attention import list_needs
from openeo_jobs.report.commands import Commands
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.tracking import downloader, loop

BROKEN = BackendAnswerError("cut short")
FULL: Any = OSError(errno.ENOSPC, "No space left on device")
FILES = {"a.tif": b"aaa", "b.tif": b"bb", "c.json": b"{}"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.round()
    finish(bench)
    return bench


def finish(bench: Bench, number: int = 1, files: dict[str, bytes] = FILES) -> None:
    fake = bench.gateway.batch_jobs[f"north-{number}"]
    fake.status, fake.results = "finished", dict(files)


def view(bench: Bench, columns: str = "name, state, size") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(bench.store.path)) as connection:
        return connection.execute(f"SELECT {columns} FROM assets ORDER BY job, name").fetchall()


def fetched(bench: Bench) -> list[str]:
    return [call[2] for call in bench.gateway.calls if call[0] == "fetch"]


def test_every_file_is_a_row(bench: Bench) -> None:
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    assert view(bench) == [
        ("a.tif", "downloaded", 3),
        ("b.tif", "downloaded", 2),
        ("c.json", "downloaded", 2),
    ]
    assert view(bench, "path")[0] == ("job_north-1/a.tif",)
    folder = bench.folder / "job_north-1"
    assert {one.name for one in folder.iterdir()} == {*FILES, "job-results.json", "job_north-1.json"}


def test_only_what_is_missing_is_tried_again(bench: Bench) -> None:
    bench.gateway.fail_next("fetch", BROKEN)
    bench.round(60)
    assert sorted(state for _, state, _ in view(bench)) == ["downloaded", "downloaded", "failed"]
    assert view(bench, "error").count(("cut short",)) == 1
    assert bench.job().results_status is ResultsStatus.PENDING
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    assert len(fetched(bench)) == 4
    assert set(view(bench, "error")) == {(None,)}


def test_a_try_that_brings_something_is_none_in_vain(bench: Bench) -> None:
    bench.gateway.fail_next("fetch", BROKEN, times=2)
    bench.round(60)
    tries = [bench.job().results_tries]
    bench.gateway.fail_next("fetch", BROKEN, times=2)
    bench.round(60)
    tries.append(bench.job().results_tries)
    assert tries == [0, 1]


def test_it_is_given_up_after_five_tries_in_vain_and_tried_anew_by_the_next_run(bench: Bench) -> None:
    finish(bench, files={"a.tif": b"a"})
    bench.gateway.fail_next("fetch", BROKEN, times=5)
    for _ in range(6):
        bench.round(1000)
    assert (bench.job().results_status, len(fetched(bench))) == (ResultsStatus.FAILED, 5)
    bench.restart()
    bench.round()
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_after_three_failures_no_more_is_asked_for_before_the_results_are(bench: Bench) -> None:
    finish(bench, files={f"{i:02}.tif": b"x" for i in range(50)})
    bench.gateway.fail_next("fetch", BackendRefusedError("[403] expired", http_status=403), times=50)
    bench.round(60)
    assert len(fetched(bench)) <= 3 + bench.run.settings.max_downloads_per_backend
    bench.gateway._failures.clear()
    bench.round(60)
    assert bench.count("get_results") == 2
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_what_a_filter_leaves_out_is_not_wanted(bench: Bench) -> None:
    bench.wants = lambda offer: offer.filename.endswith(".tif")
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    assert view(bench)[2] == ("c.json", "not_wanted", None)
    assert not (bench.folder / "job_north-1" / "c.json").exists()


def test_where_nothing_is_wanted_the_row_is_complete_all_the_same(bench: Bench) -> None:
    bench.wants = lambda offer: False
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.NOT_WANTED
    assert fetched(bench) == []


def test_a_filter_that_raises_says_so_on_the_row(bench: Bench) -> None:
    bench.wants = lambda offer: 1 / 0 > 0
    bench.round(60)
    job = bench.job()
    assert (job.results_status, job.results_tries) == (ResultsStatus.PENDING, 1)
    with closing(sqlite3.connect(bench.store.path)) as connection:
        assert connection.execute("SELECT results_error FROM job").fetchone() == ("division by zero",)


class TestFullDisk:
    def test_downloads_wait_with_one_message_and_no_try_counts(self, bench: Bench, caplog: Any) -> None:
        bench.gateway.fail_next("fetch", FULL, times=3)
        bench.round(60)
        assert bench.job().results_tries == 0
        asked = len(bench.gateway.calls)
        bench.round(30)
        assert [call for call in bench.gateway.calls[asked:] if call[0] == "get_results"] == []
        bench.gateway.fail_next("fetch", FULL, times=3)
        bench.round(60)
        bench.round(60)
        assert bench.job().results_status is ResultsStatus.DOWNLOADED
        told = [one for one in caplog.records if "disk is full" in one.getMessage()]
        assert (len(told), told[0].levelno) == (1, logging.WARNING)

    def test_all_downloads_wait(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, rows=2)
        bench.round()
        finish(bench, 1)
        bench.gateway.fail_next("fetch", FULL, times=3)
        bench.round(60)
        finish(bench, 2)
        bench.round(10)
        assert bench.count("get_results") == 1
        bench.round(60)
        bench.round()
        assert bench.job(2).results_status is ResultsStatus.DOWNLOADED


def test_what_is_here_is_not_fetched_again_after_a_crash(bench: Bench) -> None:
    bench.gateway.fail_next("fetch", BROKEN)
    bench.round(60)
    bench.restart()
    bench.round()
    bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    assert len(fetched(bench)) == 4


def test_one_file_that_is_gone_is_fetched_again_by_the_next_run(bench: Bench) -> None:
    bench.round(60)
    (bench.folder / "job_north-1" / "b.tif").unlink()
    bench.restart()
    bench.round()
    downloader.check_files(bench.run)
    bench.round()
    assert (bench.folder / "job_north-1" / "b.tif").read_bytes() == b"bb"
    assert sorted(fetched(bench)) == ["a.tif", "b.tif", "b.tif", "c.json"]


def test_results_of_a_batch_job_that_began_anew_are_fetched_anew(bench: Bench) -> None:
    bench.round(60)
    for status in (JobStatus.CANCELED, JobStatus.FINISHED):
        step = Step(job=bench.job(), status=status, word=status, results_status=ResultsStatus.PENDING)
        bench.store.progress.record([step], at=bench.now)
    bench.gateway.batch_jobs["north-1"].results["a.tif"] = b"new"
    bench.round()
    bench.round(60)
    assert (bench.folder / "job_north-1" / "a.tif").read_bytes() == b"new"
    assert len(fetched(bench)) == 6


def test_a_file_of_another_row_is_left_as_it_is(tmp_path: Path) -> None:
    class Shared(Bench):
        def job_folder(self, job: Any) -> Path:
            return self.folder / "all"

    bench = Shared(tmp_path, rows=2)
    bench.round()
    finish(bench, 1, {"a.tif": b"one"})
    bench.round(60)
    finish(bench, 2, {"a.tif": b"two"})
    bench.round(60)
    assert (tmp_path / "all" / "a.tif").read_bytes() == b"one"
    assert bench.job(2).results_tries == 1
    with closing(sqlite3.connect(bench.store.path)) as connection:
        ((error,),) = connection.execute("SELECT results_error FROM job WHERE id = 2").fetchall()
    assert "is a file of row 1" in error and "output_path" in error


@pytest.mark.parametrize("method", ["record_fetched", "record_plan", "record_settled"])
def test_files_that_arrived_while_the_database_could_not_be_used_are_fetched_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()
        raise DatabaseUnavailableError("disk I/O error")

    monkeypatch.setattr(bench.store.assets, method, fail)
    with pytest.raises(DatabaseUnavailableError):
        bench.round(60)
    for _ in range(3):
        bench.round(60)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED
    assert {state for _, state, _ in view(bench)} == {"downloaded"}


def test_results_that_expire_and_are_not_here_are_told_of(bench: Bench) -> None:
    bench.gateway.batch_jobs["north-1"].results_expire_at = bench.now + timedelta(days=3)
    bench.gateway.fail_next("fetch", BROKEN, times=9)
    bench.round(60)
    overview = bench.store.reports.overview()
    assert overview is not None
    for days, is_told in ((-5, False), (0, True), (4, True)):
        needs = list_needs(overview, groups=0, commands=Commands(), now=bench.now + timedelta(days=days))
        assert any("row 1: results are not here" in line for line in needs) is is_told
        assert ("> openeo-jobs download" in [line.strip() for line in needs]) is is_told
    bench.gateway._failures.clear()
    bench.round(120)
    overview = bench.store.reports.overview()
    assert overview is not None and overview.expiring == []


def test_a_stale_owner_neither_tells_what_a_part_holds_nor_gives_it_its_name(bench: Bench) -> None:
    finish(bench, files={"a.tif": b"a"})
    other = bench.join()
    refused: list[bool] = []

    def lose_the_row(batch_job_id: str, path: Path, terms: Terms) -> Any:
        terms.begins('"v1"', 1)
        terms.ends()
        with closing(sqlite3.connect(bench.store.path)) as connection:
            connection.execute("UPDATE job SET owner_id = ?", (other.run.runner_id,))
            connection.commit()
        for tell in (lambda: terms.begins('"v2"', 2), terms.ends):
            with pytest.raises(DownloadInterruptedError):
                tell()
            refused.append(True)
        raise DownloadInterruptedError("left")

    bench.gateway.fetch = lose_the_row  # type: ignore[assignment]
    bench.round(60)
    assert refused == [True, True]
    with closing(sqlite3.connect(bench.store.path)) as connection:
        assert connection.execute("SELECT part_version FROM asset").fetchall() == [('"v1"',)]


def test_results_are_asked_for_only_as_fast_as_files_arrive(tmp_path: Path) -> None:
    gate = threading.Event()
    bench = Bench(tmp_path, rows=30, cap=30, max_downloads=2, max_downloads_per_backend=2)
    bench.round()
    fetch = bench.gateway.fetch

    def wait_and_fetch(*args: Any) -> Any:
        gate.wait(20)
        return fetch(*args)

    bench.gateway.fetch = wait_and_fetch  # type: ignore[method-assign]
    for number in range(1, 31):
        finish(bench, number, {"a.tif": b"a"})
    bench.now += timedelta(seconds=60)
    loop.do_one_round(bench.run)
    loop.drain(bench.run, 0.5)
    loop.do_one_round(bench.run)
    assert bench.count("get_results") == 8
    gate.set()
    for _ in range(8):
        bench.round(1)
    assert {bench.job(number).results_status for number in range(1, 31)} == {ResultsStatus.DOWNLOADED}
