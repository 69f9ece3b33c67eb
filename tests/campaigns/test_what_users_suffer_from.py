"""What users of openEO's own manager suffer from does not happen here; each test says what happens there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from campaigning import make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager, user_code
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.simulator import Answers, Deviations, Fault, Simulator

TROUBLE: tuple[Callable[[Simulator], object], ...] = (
    lambda it: it.fail_next("POST", "^/jobs/.*/results$", 402, "PaymentRequired"),
    lambda it: it.fail_next("GET", "^/jobs/[^/]*$", 404, "JobNotFound", times=2),
    lambda it: it.fail_next("GET", "^/jobs/[^/]*$", 500, "Internal", times=2),
    lambda it: it.drop_next("GET", "^/jobs/[^/]*$", times=2),
    lambda it: it.fail_next("GET", "^/jobs/[^/]*$", 502, "BadGateway", times=2),
    lambda it: it.fail_next("GET", "^/jobs/[^/]*$", 429, "TooManyRequests", times=2),
)
PROXY = (
    Fault(endpoint="GET /jobs/{job_id}", kind="wait", share=0.1, seconds=(1.0, 1.0)),
    Fault(endpoint="GET /jobs/{job_id}", kind="page", share=0.2, status=504, message="Gateway Time-out"),
    Fault(endpoint="GET /jobs/{job_id}", kind="page", share=0.2, status=200, message="Please log in"),
)
"""What stands in front of a backend answers too late, or with pages of its own."""
ANSWER_SECONDS = 0.3


@pytest.fixture
def campaign(make_manager, north, tmp_path: Path) -> Callable[..., dict[str, int]]:
    """Run a campaign of eight rows, and return how many rows have which status."""

    def run(*backends: Simulator, callback=start_job, cls=MultiBackendJobManager, **kwargs) -> dict[str, int]:
        manager = make_manager(*(backends or (north,)), cls=cls, grace=0.2, lost_after=5, **kwargs)
        manager.run_jobs(make_rows(8), callback, tmp_path / "jobs.csv")
        return dict(query(tmp_path / "jobs.sqlite", "SELECT status, count(*) FROM jobs GROUP BY 1"))

    return run


def test_no_error_of_a_backend_ends_a_run(
    campaign, make_simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, 402, 404, 429, late answers and pages of proxies in a poll end `run_jobs` with an exception."""
    monkeypatch.setattr(user_code, "OpenEOGateway", partial(OpenEOGateway, timeout_seconds=ANSWER_SECONDS))
    poor = make_simulator(tmp_path / "poor", name="poor", seed=1, faults=PROXY)
    for fail in TROUBLE:
        fail(poor)
    assert campaign(poor) == {"finished": 8}
    assert set(poor.truth().executions_per_row.values()) == {1}
    faults = {"402", "404", "429", "502", "500", "drop", "wait", "504", "200"}
    assert faults <= {one.fault for one in poor.requests()}


def test_a_bad_row_and_a_hook_that_raises_end_no_run(campaign) -> None:
    """There, an exception of a hook ends the run; here, each row keeps what went wrong with it."""

    class Raising(MultiBackendJobManager):
        def on_job_done(self, job, row) -> None:
            if row.tile == "T003":
                raise RuntimeError("no space left in my own folder")

    def bad_row(row, connection, **kwargs):
        return start_job(row, connection) if row.tile != "T005" else row["nothing"]

    assert campaign(callback=bad_row, cls=Raising) == {"finished": 7, "start_failed": 1}


def test_a_504_after_the_creation_makes_no_second_batch_job(campaign, north: Simulator) -> None:
    """There, the client's adapter repeats the POST: three times 504 are four batch jobs for one row."""
    north.fail_next("POST", "^/jobs$", 504, "Timeout", after_effect=True, times=3)
    assert campaign() == {"finished": 8}
    assert [len(jobs) for jobs in north.truth().batch_jobs_per_row.values()] == [1] * 8


@pytest.mark.parametrize("status", [400, pytest.param(429, marks=pytest.mark.long)])
def test_the_concurrency_limit_of_the_account_fails_no_row(
    campaign, make_simulator, tmp_path, status
) -> None:
    """There, what is refused beyond the limit is `start_failed` for ever: 195 of 300 rows."""
    deviations = Deviations(answers=Answers(start_beyond=status))
    small = make_simulator(tmp_path / "small", name="small", concurrent_jobs=2, deviations=deviations)
    assert campaign(small, parallel_jobs=6) == {"finished": 8}


@pytest.mark.parametrize("when", ["after the creation", "after the start"])
def test_a_row_that_a_dead_run_left_behind_goes_on(campaign, north: Simulator, when: str) -> None:
    """There, rows stay `created` or `queued_for_start` for ever when the run dies between the requests."""
    calls = []

    def die(row, connection, **kwargs):
        batch_job = start_job(row, connection)
        calls.append(batch_job)
        if len(calls) == 1:
            if when == "after the start":
                batch_job.start()
            raise KeyboardInterrupt
        return batch_job

    with pytest.raises(KeyboardInterrupt):
        campaign(callback=die)
    assert campaign(callback=die) == {"finished": 8}
    assert [len(jobs) for jobs in north.truth().batch_jobs_per_row.values()] == [1] * 8
    assert set(north.truth().executions_per_row.values()) == {1}
