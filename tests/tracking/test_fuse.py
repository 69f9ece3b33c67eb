"""The fuse: a fault in the script does not spend a night's credits, and scattered failures stop nothing."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Outcome
from openeo_jobs.status import ACTIVE, JobStatus
from openeo_jobs.testing import FakeBatchJob
from openeo_jobs.tracking import loop

BAD = BackendRefusedError("[400] no such collection", http_status=400, code="CollectionNotFound")


def end_with(message: str | None) -> Callable[[FakeBatchJob], None]:
    """Let a batch job finish, or fail with a message in its logs."""

    def end(one: FakeBatchJob) -> None:
        one.status = "finished" if message is None else "error"
        one.error_logs = [{"level": "error", "message": message}] if message else []

    return end


def run_until_nothing_is_left(
    bench: Bench, end: Callable[[FakeBatchJob], None], *, rounds: int = 10_000
) -> int:
    """Do rounds in which every batch job that is in a queue ends; return how many it took."""
    for done in range(rounds):
        bench.round(61)
        if not loop.work_left(bench.run):
            return done
        for gateway in bench.gateways.values():
            for one in gateway.batch_jobs.values():
                if one.status == "queued":
                    end(one)
    raise AssertionError("it goes on for ever")


def count_created(bench: Bench) -> int:
    return sum(len(gateway.batch_jobs) for gateway in bench.gateways.values())


def fuse_reasons(bench: Bench) -> list[str | None]:
    return [backend.fuse_reason for backend in bench.store.backends.all()]


def test_a_wrong_band_name_over_6000_rows_creates_10_batch_jobs_and_fills_the_slots(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """openEO's own manager creates all 6,000."""
    bench = Bench(tmp_path, rows=6000, cap=(cap := 7))

    def end(one: FakeBatchJob) -> None:
        end_with(f"the band B99 does not exist in {one.batch_job_id}")(one)

    run_until_nothing_is_left(bench, end)
    loop.tell_left_behind(bench.run)

    assert 10 <= count_created(bench) <= 10 + cap
    assert not bench.store.jobs.of_status(ACTIVE)
    (reason,) = fuse_reasons(bench)
    assert str(reason).startswith("10 attempts in a row failed alike, the last one of: the band B99 does not")
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert sum("nothing new is created on north: 10 attempts in a row" in text for text in errors) == 1
    assert "openeo-jobs failures" in errors[0]
    assert f"{6000 - count_created(bench)} rows were not begun" in errors[-1]


def test_each_of_two_backends_has_a_fuse_of_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=32, cap=5, backends=("north", "south"), downloads_results=False)

    def end(one: FakeBatchJob) -> None:
        end_with("no band B99" if one.batch_job_id.startswith("north") else None)(one)

    run_until_nothing_is_left(bench, end)
    assert 10 <= len(bench.gateways["north"].batch_jobs) <= 15
    assert len(bench.store.jobs.of_status([JobStatus.FINISHED])) == len(bench.gateways["south"].batch_jobs)
    assert count_created(bench) == 32
    assert [reason is None for reason in fuse_reasons(bench)] == [False, True]


def test_a_fault_in_the_callback_stops_the_campaign_after_10_calls(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=200, cap=50, backends=("north", "south"))

    def script(bench, job, gateway, watcher):
        raise KeyError("west")

    bench.script = script
    run_until_nothing_is_left(bench, end_with(None))
    assert bench.run.stats["start_job call"] == 10
    assert len(bench.store.jobs.of_status([JobStatus.START_FAILED])) == 10
    assert fuse_reasons(bench) == [
        "10 calls of start_job in a row failed alike, the last one of: KeyError: 'west' in start_job"
    ] * 2  # fmt: skip


def test_what_a_backend_refuses_ten_times_is_not_sent_an_eleventh_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=100)
    bench.script = b.refuse(BAD)
    run_until_nothing_is_left(bench, end_with(None))
    assert bench.run.stats["start_job call"] == 10


@pytest.mark.parametrize("seed", [1, 2])
def test_five_percent_of_scattered_failures_never_trip_it(tmp_path: Path, seed: int) -> None:
    bench, chance = Bench(tmp_path, rows=50, cap=25, downloads_results=False), random.Random(seed)

    def script(bench, job, gateway, watcher):
        lot = chance.random()
        if lot < 0.05:
            raise KeyError("west")
        return (
            b.refuse(BAD)(bench, job, gateway, watcher)
            if lot < 0.1
            else b.create(bench, job, gateway, watcher)
        )

    bench.script = script
    run_until_nothing_is_left(bench, lambda one: end_with("no data" if chance.random() < 0.05 else None)(one))
    assert not bench.run.stats["fuse tripped"]
    assert not bench.store.jobs.of_status({JobStatus.NOT_STARTED, *ACTIVE})


def test_different_failures_do_not_trip_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=14)
    words = iter("abcdefghijklmnopqrstuvwxyz")

    def script(bench, job, gateway, watcher):
        raise ValueError(f"no {next(words) * 3}")

    bench.script = script
    run_until_nothing_is_left(bench, end_with(None))
    assert bench.run.stats["start_job call"] == 14


def test_without_a_limit_every_row_is_tried(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=14, max_failures_in_a_row=None)
    bench.script = b.refuse(BAD)
    run_until_nothing_is_left(bench, end_with(None))
    assert bench.run.stats["start_job call"] == 14


def test_a_backend_that_is_away_or_full_trips_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=3, cap=1)
    bench.script = b.refuse(BackendUnavailableError("[503] busy", http_status=503))
    for _ in range(12):
        bench.round(4000)
    assert bench.run.stats["start_job call"] > 10
    assert fuse_reasons(bench) == [None]


def test_what_runs_is_tracked_and_a_success_closes_it_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(tmp_path, rows=40, cap=3, max_failures_in_a_row=2)
    bench.round()
    bench.round(60)
    for number in (1, 2):
        end_with("no data")(bench.gateway.batch_jobs[f"north-{number}"])
    bench.round(60)
    bench.round(60)
    assert fuse_reasons(bench) == ["2 attempts in a row failed alike, the last one of: no data"]
    assert loop.work_left(bench.run).waiting == 0
    assert loop.work_left(bench.run)
    assert count_created(bench) == 3
    end_with(None)(bench.gateway.batch_jobs["north-3"])
    bench.round(60)
    assert fuse_reasons(bench) == [None]
    assert "north: new batch jobs are created again" in caplog.text
    assert count_created(bench) == 6


def test_nothing_is_created_while_the_reasons_of_so_many_failures_are_still_to_be_fetched(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, rows=20, cap=3, max_failures_in_a_row=3)
    bench.gateway.fail_next("get_error_logs", BackendUnavailableError("[500]", http_status=500), times=3)
    bench.round()
    bench.round(60)
    for one in bench.gateway.batch_jobs.values():
        end_with("no data")(one)
    bench.round(60)
    assert count_created(bench) == 3
    assert fuse_reasons(bench) == [None]
    bench.round(60)
    bench.round(60)
    assert count_created(bench) == 3
    assert fuse_reasons(bench) == ["3 attempts in a row failed alike, the last one of: no data"]


def test_reasons_that_turn_out_to_differ_hold_nothing_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=20, cap=3, max_failures_in_a_row=3)
    bench.round()
    bench.round(60)
    for index, one in enumerate(bench.gateway.batch_jobs.values()):
        end_with("no data" if index % 2 else "out of memory")(one)
    bench.round(60)
    bench.round(60)
    assert count_created(bench) == 6


def test_a_created_batch_job_is_started_although_the_fuse_has_tripped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=5, cap=4, max_failures_in_a_row=2)
    limit = BackendRefusedError("limit", http_status=400, code="ConcurrentJobLimit")
    bench.gateway.fail_next("start", limit)

    def script(bench, job, gateway, watcher):
        return (b.create if job.number == 1 else b.refuse(BAD))(bench, job, gateway, watcher)

    bench.script = script
    run_until_nothing_is_left(bench, end_with(None))
    assert bench.status(1) is JobStatus.FINISHED


def test_a_new_run_gets_a_new_try(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=16)
    bench.script = b.refuse(BAD)
    run_until_nothing_is_left(bench, end_with(None))
    bench.script = b.create
    bench.now = bench.now.replace(year=2025)
    bench.restart()
    run_until_nothing_is_left(bench, end_with(None))
    assert len(bench.store.jobs.of_status([JobStatus.FINISHED])) == 6
    assert fuse_reasons(bench) == [None]


def test_what_ended_after_the_restart_and_began_before_it_does_not_count(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=20, cap=3, max_failures_in_a_row=3)
    bench.round()
    bench.round(60)
    bench.now = bench.now.replace(year=2025)
    bench.restart()
    for one in bench.gateway.batch_jobs.values():
        end_with("no data")(one)
    bench.round()
    bench.round(60)
    assert count_created(bench) == 6


def test_a_retry_gets_a_new_try_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=40, cap=4)
    bench.script = b.refuse(BAD)
    bench.round()
    failed = bench.store.jobs.of_status([JobStatus.START_FAILED])
    assert len(failed) == 10
    bench.round(60)
    bench.script = b.create
    bench.round(60)
    assert count_created(bench) == 0
    bench.now = bench.now.replace(year=2025)
    bench.store.retries.retry(failed[:1], reason="mended", at=bench.now)
    assert fuse_reasons(bench) == [None]
    bench.round(1)
    assert count_created(bench) == 4


def test_a_lost_answer_in_between_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=40, cap=4)

    def script(bench, job, gateway, watcher):
        if job.number == 5:
            b.post(bench, job, gateway, watcher, arrives=False, outcome=Outcome.UNKNOWN)
            watcher.saw("north", BackendUnavailableError("[500] oops", http_status=500))
            raise BackendUnavailableError("[500] oops", http_status=500)
        return b.refuse(BAD)(bench, job, gateway, watcher)

    bench.script = script
    bench.round()
    assert bench.run.stats["start_job call"] == 11


def test_it_is_told_once_although_more_of_what_runs_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, rows=9, cap=3, max_failures_in_a_row=2)
    bench.round()
    bench.round(60)
    for numbers in ((1, 2), (3,)):
        for number in numbers:
            end_with(f"no data in {number}")(bench.gateway.batch_jobs[f"north-{number}"])
        bench.round(60)
        bench.round(60)
        assert str(fuse_reasons(bench)[0]).endswith(f"no data in {numbers[-1]}")
    assert sum("nothing new is created" in record.getMessage() for record in caplog.records) == 1
