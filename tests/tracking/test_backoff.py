"""Failures in a row: longer pauses, what a backend asks for, caps that are learned."""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle
from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendAnswerError, BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Backend, ErrorClass
from openeo_jobs.status import JobStatus

AWAY = BackendUnavailableError("[503] busy", http_status=503)
LIMIT = BackendRefusedError(
    "[400] the concurrent job limit (2) is reached", http_status=400, code="ConcurrentJobLimit"
)


def slow_down(seconds: float | None = None) -> BackendRefusedError:
    retry_after = None if seconds is None else timedelta(seconds=seconds)
    return BackendRefusedError("[429] slow down", http_status=429, retry_after=retry_after)


def north(bench: Bench) -> Backend:
    return bench.store.backends.one("north")


def rests_for(bench: Bench) -> float:
    retry_at = north(bench).retry_at
    assert retry_at is not None
    return (retry_at - bench.now).total_seconds()


def limit_to(bench: Bench, cap: int) -> None:
    """Let the backend take so many at a time, and refuse one more as CDSE does."""
    start = bench.gateway.start

    def start_or_refuse(batch_job_id: str) -> None:
        active = [one for one in bench.gateway.batch_jobs.values() if one.status in ("queued", "running")]
        bench.gateway.calls.append(("asked",))
        if len(active) >= cap:
            raise LIMIT
        start(batch_job_id)

    bench.gateway.start = start_or_refuse  # type: ignore[method-assign]


def test_each_outage_in_a_row_pauses_for_longer_also_after_a_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    bench.gateway.fail_next("get_batch_job", AWAY, times=100)
    bench.gateway.fail_next("list_batch_jobs", AWAY, times=100)
    pauses, wait = [], 60.0
    for attempt in range(7):
        if attempt == 3:
            bench.restart()
        bench.round(wait)
        wait = rests_for(bench)
        pauses.append(wait)
    assert pauses == [120, 240, 480, 960, 1920, 3600, 3600]


def test_chance_makes_pauses_differ(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    bench.run.take_chance = lambda: 1.0
    bench.gateway.fail_next("get_batch_job", AWAY)
    bench.round(60)
    assert rests_for(bench) == 150


def test_a_success_makes_the_next_pause_short_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    for wait in (60, 120):
        bench.gateway.fail_next("get_batch_job", AWAY)
        bench.gateway.fail_next("list_batch_jobs", AWAY)
        bench.round(wait)
    assert north(bench).failures_in_a_row == 2
    bench.round(rests_for(bench))
    bench.round(60)
    assert north(bench).failures_in_a_row == 0
    bench.gateway.fail_next("get_batch_job", AWAY)
    bench.round(60)
    assert rests_for(bench) == 120


def test_a_backend_that_tells_statuses_and_refuses_to_create_rests_longer_each_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, cap=2)
    bench.script = lambda bench, job, *rest: (b.create if job.number == 1 else b.refuse(AWAY))(
        bench, job, *rest
    )
    bench.round()
    pauses = []
    for _ in range(4):
        pauses.append(rests_for(bench))
        bench.round(pauses[-1] + 61)
    assert pauses == [120, 240, 480, 960]


def test_failures_with_creations_between_them_are_not_in_a_row(tmp_path: Path) -> None:
    """On a network that is flaky, some request of nearly every round fails."""
    bench = Bench(tmp_path, rows=8, cap=8)
    outcomes = cycle([b.create, b.refuse(AWAY)])
    bench.script = lambda bench, *rest: next(outcomes)(bench, *rest)
    bench.round()
    pauses = []
    for _ in range(4):
        pauses.append(rests_for(bench))
        bench.round(pauses[-1] + 61)
    assert pauses == [120] * 4


def test_what_fails_together_is_one_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=4, cap=4)
    bench.gateway.fail_next("start", LIMIT, times=4)
    bench.round()
    assert (north(bench).failures_in_a_row, rests_for(bench)) == (1, 60)


@pytest.mark.parametrize("where", ["create", "start", "poll"])
@pytest.mark.parametrize("error", [slow_down(5000), BackendUnavailableError(
    "[503] maintenance", http_status=503, retry_after=timedelta(seconds=5000))], ids=str)  # fmt: skip
def test_a_backend_is_left_alone_for_as_long_as_it_asks(tmp_path: Path, where: str, error) -> None:
    bench = Bench(tmp_path, rows=2, cap=1 if where == "poll" else 2)
    if where == "create":
        bench.script = lambda bench, job, *rest: (b.refuse(error) if job.number == 1 else b.create)(
            bench, job, *rest
        )
    elif where == "start":
        bench.gateway.fail_next("start", error)
    bench.round()
    if where == "poll":
        bench.gateway.fail_next("get_batch_job", error)
        bench.round()
    assert rests_for(bench) == 5000
    calls = len(bench.gateway.calls)
    bench.round(4999)
    assert len(bench.gateway.calls) == calls
    bench.round(1)
    assert len(bench.gateway.calls) > calls


def test_what_only_the_wire_saw_is_obeyed_too(tmp_path: Path) -> None:
    """The errors of openEO's client carry no headers."""
    bench = Bench(tmp_path)

    def script(bench, job, gateway, watcher):
        watcher.saw("north", slow_down(5000))
        raise slow_down()

    bench.script = script
    bench.round()
    assert rests_for(bench) == 5000


def test_an_asset_server_that_asks_to_wait_is_obeyed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "finished"
    error = BackendUnavailableError("[503] busy", http_status=503, retry_after=timedelta(seconds=5000))
    bench.gateway.fail_next("fetch", error)
    bench.round(60)
    assert bench.job().results_not_before == bench.now + timedelta(seconds=5000)
    assert north(bench).paused_class is None


def test_a_concurrency_limit_is_learned_and_every_row_gets_through(tmp_path: Path) -> None:
    """openEO's own manager: 195 of 300 rows were `start_failed`."""
    bench = Bench(tmp_path, rows=7, cap=6, downloads_results=False)
    limit_to(bench, 2)
    bench.round()
    assert north(bench).learned_cap == 2
    for _ in range(14):
        bench.round(61)
        for one in bench.gateway.batch_jobs.values():
            one.status = "finished" if one.status == "queued" else one.status
    assert {bench.status(n) for n in range(1, 8)} == {JobStatus.FINISHED}
    assert len(bench.gateway.batch_jobs) == 7
    assert [job.attempt.number for job in bench.store.jobs.all() if job.attempt] == [1] * 7


def test_while_the_learned_cap_is_reached_nothing_is_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=12, cap=6)
    limit_to(bench, 2)
    bench.round()
    asked, created = bench.count("asked"), len(bench.gateway.batch_jobs)
    for _ in range(5):
        bench.round(240)
    assert bench.count("asked") == asked
    assert len(bench.gateway.batch_jobs) == created


def test_a_limit_that_is_gone_is_found_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=12, cap=6)
    limit_to(bench, 1)
    bench.round()
    bench.gateway.start = type(bench.gateway).start.__get__(bench.gateway)  # type: ignore[method-assign]
    bench.round(61)
    assert len(bench.store.jobs.of_status([JobStatus.QUEUED, JobStatus.QUEUED_FOR_START])) == 1
    for _ in range(3):
        bench.round(1800)
    assert len(bench.store.jobs.of_status([JobStatus.QUEUED, JobStatus.QUEUED_FOR_START])) == 6


@pytest.mark.parametrize("error", [LIMIT, slow_down()], ids=str)
def test_a_limit_on_create_is_learned_and_the_row_stays_in_line(tmp_path: Path, error) -> None:
    bench = Bench(tmp_path, rows=5, cap=5)
    bench.script = lambda bench, job, *rest: (b.refuse(error) if job.number == 3 else b.create)(
        bench, job, *rest
    )
    bench.round()
    assert north(bench).learned_cap == 2
    assert bench.status(3) is JobStatus.NOT_STARTED
    bench.script = b.create
    bench.round(120)
    assert len(bench.gateway.batch_jobs) == 2
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.round(60)
    assert len(bench.gateway.batch_jobs) == 3
    assert bench.status(3) is JobStatus.QUEUED_FOR_START


def test_where_nothing_is_active_the_cap_is_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=5, cap=5)
    bench.script = b.refuse(LIMIT)
    bench.round()
    assert north(bench).learned_cap == 1
    bench.script = b.create
    bench.round(61)
    assert len(bench.gateway.batch_jobs) == 1


def test_a_limit_on_other_requests_teaches_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    bench.gateway.fail_next("get_batch_job", slow_down())
    bench.round(60)
    assert north(bench).paused_class is ErrorClass.LIMIT
    assert north(bench).learned_cap is None


def test_an_answer_without_sense_is_tried_again_by_row(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2)
    bench.script = lambda bench, job, *rest: (
        b.refuse(BackendAnswerError("an HTML page")) if job.number == 1 else b.create
    )(bench, job, *rest)
    bench.round()
    assert north(bench).paused_class is None
    assert [bench.status(1), bench.status(2)] == [JobStatus.NOT_STARTED, JobStatus.QUEUED_FOR_START]


def test_a_backend_that_is_gone_for_a_day_fails_and_loses_no_row(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=4, cap=2, downloads_results=False)
    bench.round()
    gone = BackendUnavailableError("no connection", reached=False)
    for method in ("get_batch_job", "list_batch_jobs"):
        bench.gateway.fail_next(method, gone, times=10_000)
    asked = bench.count("get_batch_job")
    for _ in range(48):
        bench.round(1800)
    assert 2 * 23 <= bench.count("get_batch_job") - asked <= 2 * 30  # less and less often, at least each hour
    assert [bench.status(n) for n in (1, 2)] == [JobStatus.QUEUED_FOR_START] * 2
    bench.gateway._failures.clear()
    for _ in range(5):
        for one in bench.gateway.batch_jobs.values():
            one.status = "finished" if one.starts else one.status
        bench.round(3700)
    assert [bench.status(n) for n in (1, 2, 3, 4)] == [JobStatus.FINISHED] * 4
    assert [one.starts for one in bench.gateway.batch_jobs.values()] == [1] * 4
