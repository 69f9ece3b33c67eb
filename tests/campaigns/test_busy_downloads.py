"""Thousands of small files: as many as may be are on their way at a time, each for a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigning import make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Deviations, Fault, Files, Simulator

pytestmark = pytest.mark.long
"""How many are on their way depends on how busy the machine is: no everyday test."""
LIMIT = 8
LATENCY_SECONDS = 0.25
SLOW = [
    Fault(endpoint=endpoint, kind="wait", seconds=(LATENCY_SECONDS, LATENCY_SECONDS))
    for endpoint in ("GET /assets/{job_id}/{name}", "GET /jobs/{job_id}/results")
]
USUAL_FILES = 3
STATEMENTS_PER_FILE = 10
STATEMENTS_PER_JOB = 100


@pytest.fixture
def fetch_all(tmp_path: Path, make_simulator: Any, make_manager: Any) -> Callable[..., tuple[float, int]]:
    """Run a campaign; return how many files were on their way on average, and the number of statements."""

    def fetch_all(*, jobs: int, more: int) -> tuple[float, int]:
        files = Files(more=(more, 1000))
        simulator = make_simulator(
            tmp_path / "north", name="north", faults=SLOW, deviations=Deviations(files=files)
        )
        manager: MultiBackendJobManager = make_manager(
            simulator,
            parallel_jobs=jobs,
            poll_sleep=0.5,
            max_downloads=LIMIT,
            max_downloads_per_backend=LIMIT,
        )
        with counted_statements() as statements:
            manager.run_jobs(make_rows(jobs), start_job, tmp_path / "jobs.csv")
        here = query(tmp_path / "jobs.sqlite", "SELECT count(*) FROM assets WHERE state = 'downloaded'")
        assert here == [(jobs * (USUAL_FILES + more),)]
        return mean_in_flight(simulator), len(statements)

    return fetch_all


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def mean_in_flight(simulator: Simulator) -> float:
    requests = simulator.requests("GET", "^/assets/")
    ends = [request.until_at or request.at for request in requests]
    busy = sum((end - request.at).total_seconds() for request, end in zip(requests, ends, strict=True))
    return busy / (max(ends) - min(request.at for request in requests)).total_seconds()


def check_one_job(fetch_all: Callable[..., tuple[float, int]], files: int) -> None:
    in_flight, statements = fetch_all(jobs=1, more=files - USUAL_FILES)
    print(f"{files} files of a job: {in_flight:.2f} of {LIMIT}, {statements / files:.1f} statements per file")
    assert 0.8 * LIMIT <= in_flight <= LIMIT
    assert statements <= STATEMENTS_PER_FILE * files


def check_many_jobs(fetch_all: Callable[..., tuple[float, int]], jobs: int) -> None:
    in_flight, statements = fetch_all(jobs=jobs, more=0)
    print(f"files of {jobs} jobs: {in_flight:.2f} of {LIMIT}, {statements / jobs:.1f} statements per job")
    assert 0.8 * LIMIT <= in_flight <= LIMIT
    assert statements <= (STATEMENTS_PER_JOB + USUAL_FILES * STATEMENTS_PER_FILE) * jobs


def test_300_files_of_one_job_keep_the_limit_busy(fetch_all: Callable[..., tuple[float, int]]) -> None:
    check_one_job(fetch_all, 300)


def test_300_files_of_100_jobs_keep_the_limit_busy(fetch_all: Callable[..., tuple[float, int]]) -> None:
    check_many_jobs(fetch_all, 100)


def test_5000_files_of_one_job_keep_the_limit_busy(fetch_all: Callable[..., tuple[float, int]]) -> None:
    check_one_job(fetch_all, 5000)


def test_5000_files_of_1667_jobs_keep_the_limit_busy(fetch_all: Callable[..., tuple[float, int]]) -> None:
    check_many_jobs(fetch_all, 1667)
