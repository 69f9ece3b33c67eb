"""Costs that a backend knows only a while after the end, of every attempt, in its own currency."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bench import Bench

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.status import JobStatus

DAY = 86400
USAGE = {"cpu": {"value": 12.5, "unit": "cpu-seconds"}}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, backends=("north", "south"), rows=2, cap=1)
    bench.gateways["south"].currency = "EUR"
    bench.round()
    for name in ("north", "south"):
        for batch_job in bench.gateways[name].batch_jobs.values():
            batch_job.status = "finished"
    return bench


def batch_job_of(bench: Bench, number: int) -> Any:
    job = bench.job(number)
    return bench.gateways[str(job.backend_name)].batch_jobs[str(job.batch_job_id)]


def view(bench: Bench, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(bench.folder / "jobs.sqlite")) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("word", ["finished", "error", "canceled"])
def test_costs_that_are_not_known_at_the_end_are_asked_for_again(bench: Bench, word: str) -> None:
    batch_job_of(bench, 1).status = word
    bench.round(60)
    bench.round(60)
    assert bench.job().attempt.costs is None
    batch_job_of(bench, 1).costs, batch_job_of(bench, 1).usage = 4.5, USAGE
    bench.round(60)
    bench.round(60)
    assert (bench.job().attempt.costs, bench.job().attempt.usage) == (4.5, USAGE)
    assert bench.job().attempt.currency == "credits"


def test_a_run_does_not_wait_for_costs(bench: Bench) -> None:
    bench.round(60)
    bench.round(60)
    assert [bench.job(n).attempt.costs for n in (1, 2)] == [None, None]
    assert not bench.store.jobs.work_left(["north", "south"], runner_id=bench.run.runner_id)


def test_nobody_asks_once_a_day_has_passed_or_costs_are_known(bench: Bench) -> None:
    batch_job_of(bench, 2).costs = 1.0
    for _ in range(20):
        bench.round(3 * 3600)
    asked = bench.count("get_batch_job"), len(bench.gateways["south"].calls)
    bench.round(DAY)
    bench.round(DAY)
    assert (bench.count("get_batch_job"), len(bench.gateways["south"].calls)) == asked


def test_the_next_run_asks_once_more_however_late(bench: Bench) -> None:
    bench.round(60)
    bench.restart()
    bench.now = bench.now.replace(year=2025)
    batch_job_of(bench, 1).costs = 4.5
    bench.round(60)
    assert bench.job().attempt.costs == 4.5


def test_a_superseded_attempt_is_asked_for_too(bench: Bench) -> None:
    first = batch_job_of(bench, 1)
    first.status = "error"
    bench.round(60)
    bench.round(0)
    bench.store.retries.retry([bench.job(1)], reason="again", at=bench.now)
    bench.round(60)
    assert bench.job(1).attempt.number == 2
    first.costs = 7.0
    bench.round(600)
    assert view(bench, "SELECT attempt, costs FROM attempts WHERE job = 1") == [(1, 7.0), (2, None)]


def test_what_cannot_be_asked_is_asked_later(bench: Bench) -> None:
    bench.round(60)
    batch_job_of(bench, 1).costs = 4.5
    bench.gateway.fail_next("get_batch_job", BackendRefusedError("gone", http_status=404))
    bench.round(60)
    assert bench.job().attempt.costs is None
    bench.gateway.fail_next("get_batch_job", BackendUnavailableError("busy", http_status=500))
    bench.round(120)
    bench.round(3600)
    assert bench.job().attempt.costs == 4.5
    assert bench.status() is JobStatus.FINISHED


def test_costs_are_summed_by_currency_over_all_attempts(bench: Bench) -> None:
    batch_job_of(bench, 1).costs, batch_job_of(bench, 2).costs = 4.0, 2.5
    bench.round(60)
    bench.store.retries.retry([bench.job(1)], reason="again", at=bench.now)
    bench.run.caps = {"north": 1, "south": 0}
    bench.round(60)
    again = batch_job_of(bench, 1)
    again.status = "error"
    bench.round(60)
    columns = "backend_name, currency, attempts, rows, costs, attempts_without_costs"
    assert view(bench, f"SELECT {columns} FROM costs") == [
        ("north", "credits", 2, 1, 4.0, 1),
        ("south", "EUR", 1, 1, 2.5, 0),
    ]
    again.costs = 6.0
    bench.round(600)
    assert view(bench, f"SELECT {columns} FROM costs") == [
        ("north", "credits", 2, 1, 10.0, 0),
        ("south", "EUR", 1, 1, 2.5, 0),
    ]
    overview = bench.store.reports.overview()
    assert overview is not None
    assert [(one.currency, one.total, one.unknown) for one in overview.costs] == [
        *(("credits", 10.0, 0), ("EUR", 2.5, 0))
    ]


def test_a_backend_that_changes_its_currency_has_a_sum_for_each(bench: Bench) -> None:
    batch_job_of(bench, 1).costs, batch_job_of(bench, 2).costs = 4.0, 2.5
    bench.round(60)
    bench.store.backends.record_facts("north", url="https://north.invalid", currency="EUR")
    bench.store.retries.retry([bench.job(1)], reason="again", at=bench.now)
    bench.run.caps = {"north": 1, "south": 0}
    bench.round(60)
    batch_job_of(bench, 1).status, batch_job_of(bench, 1).costs = "finished", 6.0
    bench.round(60)
    assert view(bench, "SELECT backend_name, currency, costs FROM costs ORDER BY 1, 2") == [
        *(("north", "EUR", 6.0), ("north", "credits", 4.0), ("south", "EUR", 2.5))
    ]


def test_costs_get_their_currency_once_that_is_known(bench: Bench) -> None:
    batch_job_of(bench, 2).costs = 2.5
    with closing(sqlite3.connect(bench.folder / "jobs.sqlite")) as connection, connection:
        connection.execute("UPDATE backend SET currency = NULL")
    bench.round(60)
    assert bench.job(2).attempt.currency is None
    bench.store.backends.record_facts("south", url="https://south.invalid", currency="EUR")
    assert bench.job(2).attempt.currency == "EUR"


def test_times_are_kept_as_seen_and_as_the_backend_says(bench: Bench) -> None:
    told = {"created_at": 1, "queued_at": 2, "started_at": 3, "ended_at": 4}
    batch_job_of(bench, 1).times = {
        name: datetime(2023, 12, 31, 23, minute, tzinfo=UTC) for name, minute in told.items()
    }
    bench.round(60)
    names = ("backend_created_at", "backend_queued_at", "backend_started_at", "backend_ended_at")
    attempt = bench.job().attempt
    assert [getattr(attempt, name).minute for name in names] == [1, 2, 3, 4]
    assert attempt.ended_at == bench.now
    assert view(bench, f"SELECT {', '.join(names)} FROM attempts WHERE job = 1") == [
        tuple(f"2023-12-31T23:0{minute}:00.000Z" for minute in (1, 2, 3, 4))
    ]
    assert [getattr(bench.job(2).attempt, name) for name in names] == [None] * 4
