"""Campaigns during which logins expire: none ends early, none goes on for ever, nothing runs twice."""

from __future__ import annotations

from pathlib import Path

import openeo
import pytest

from campaigning import connect_to, make_rows, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Answers, Deviations

QUICK = {"poll_sleep": 0.05, "grace": 0.1, "lost_after": 5}


@pytest.mark.parametrize(
    "bad_token", [*(pytest.param(status, marks=pytest.mark.long) for status in (401, 403)), 500]
)
def test_logins_that_expire_are_made_anew_by_the_callable(
    make_simulator, tmp_path: Path, bad_token: int
) -> None:
    """An expired token is answered 401, 403, or (seen in implementations) 500.

    openEO's own manager refreshes OIDC tokens only, and only if the refresh token that the connection began
    with is still good; else each poll and each start fails from then on, and the rows with them. (A create
    request that is answered 500 counts as an attempt, as nobody can tell; so there are many here.)
    """
    deviations = Deviations(token_seconds=2.5, answers=Answers(bad_token=bad_token))
    north = make_simulator(tmp_path / "north", name="north", deviations=deviations, run_seconds=(0.7, 1.0))
    logins: list[openeo.Connection] = []

    def log_in() -> openeo.Connection:
        logins.append(connect_to(north)())
        return logins[-1]

    manager = MultiBackendJobManager(
        root_dir=tmp_path / "results", max_attempts=20, max_failures_in_a_row=None, **QUICK
    )
    manager.add_backend("north", log_in, parallel_jobs=3)
    manager.run_jobs(make_rows(12), start_job, tmp_path / "jobs.csv")

    assert len(logins) > 1
    assert set(north.truth().executions_per_row.values()) == {1}
    assert len(north.truth().executions_per_row) == 12
    assert len(list((tmp_path / "results").glob("job_*/job-results.json"))) == 12
