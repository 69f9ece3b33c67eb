"""Create requests of unknown outcome: what a listing proves, and what it does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.jobs import Listing, Outcome
from openeo_jobs.status import JobStatus

OOPS = BackendUnavailableError("[500] oops", http_status=500)
AWAY = BackendUnavailableError("[503] maintenance", http_status=503)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def slow_down(bench: Bench, number: int, seconds: float) -> None:
    """Let the listing with this *number*, from now on, take so long: what it shows is of before."""
    ask, asked = bench.gateway.list_batch_jobs, []

    def list_batch_jobs() -> Listing:
        found = ask()
        asked.append(found)
        if len(asked) == number:
            bench.now += timedelta(seconds=seconds)
        return found

    bench.gateway.list_batch_jobs = list_batch_jobs


def lose(error: Exception, *, arrives: bool) -> b.Script:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher, arrives=arrives, outcome=Outcome.UNKNOWN)
        watcher.saw(gateway.name, error)
        raise error

    return script


def test_a_listing_proves_absence_as_of_when_it_was_asked_for(bench: Bench) -> None:
    """It may come in late: it has many pages, or `start_job` holds up the round."""
    bench.script = lose(OOPS, arrives=True)
    bench.round()
    bench.gateway.batch_jobs["north-1"].is_listed = False
    bench.script = b.create
    slow_down(bench, 2, 110)
    bench.round(10)
    bench.round(10)
    bench.gateway.batch_jobs["north-1"].is_listed = True
    bench.round(60)
    bench.round(60)
    assert bench.count_creations() == {1: 1}
    assert bench.job().batch_job_id == "north-1"


def test_a_listing_of_before_is_no_proof_that_a_batch_job_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, lost_after=100.0)
    lose_it = lose(OOPS, arrives=False)
    bench.script = lambda bench, job, *rest: (b.create if job.number == 1 else lose_it)(bench, job, *rest)
    bench.round()
    known = bench.gateway.batch_jobs["north-1"]
    known.is_found = known.is_listed = False
    for _ in range(3):
        bench.round(10)
    slow_down(bench, 1, 110)  # asked for because of the other row, before a 404 had lasted that long
    bench.round(10)
    assert bench.status() is JobStatus.QUEUED_FOR_START
