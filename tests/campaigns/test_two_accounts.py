"""A campaign that two people run, one after the other and at once, each with an account of the backends."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from test_interruptions import begin, check, count_finished, run_to_the_end, wait_until

from campaigning import connect_to_url, query
from openeo_jobs import audit
from openeo_jobs.policy.audit import Verdict
from openeo_jobs.simulator import Simulator

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
]
NOT_OVER = """SELECT job, id, account, status FROM jobs JOIN attempts USING (job, id)
  WHERE results_status IS NOT 'downloaded'"""


@pytest.fixture
def north(make_simulator, tmp_path) -> Simulator:
    return make_simulator(tmp_path / "north", seed=1, name="north", run_seconds=(0.1, 1.0))


@pytest.fixture
def south(make_simulator, tmp_path) -> Simulator:
    return make_simulator(tmp_path / "south", seed=2, name="south", run_seconds=(0.1, 1.0))


def count_attempts(folder: Path) -> dict[str, int]:
    return dict(query(folder / "jobs.sqlite", "SELECT account, count(*) FROM attempts GROUP BY 1"))


@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL])
def test_what_one_account_left_behind_waits_for_it_while_the_other_goes_on(
    tmp_path, north, south, how
) -> None:
    process = begin(tmp_path, north, south, "--as=xenia")
    wait_until(lambda: count_finished(tmp_path) >= 5, process)
    process.send_signal(how)
    process.communicate(timeout=40)
    left = query(tmp_path / "jobs.sqlite", NOT_OVER)
    assert any(status != "finished" for *_, status in left), "nothing was under way: this tells nothing"
    created = count_attempts(tmp_path)["xenia"]

    output = run_to_the_end(tmp_path, north, south, "--as=yvonne")
    assert "for account xenia of " in output
    assert query(tmp_path / "jobs.sqlite", NOT_OVER) == left
    assert query(tmp_path / "jobs.sqlite", "SELECT count(*) FROM jobs WHERE status = 'not_started'") == [(0,)]
    assert count_attempts(tmp_path)["xenia"] == created
    assert_audit_does_not_judge_others(tmp_path, north)

    run_to_the_end(tmp_path, north, south, "--as=xenia")
    check(tmp_path, north, south)
    assert count_attempts(tmp_path)["yvonne"] > 0
    assert users_of_batch_jobs(north, south) == dict(
        query(tmp_path / "jobs.sqlite", "SELECT id, account FROM attempts")
    )
    asked = Counter(
        one.user
        for backend in (north, south)
        for one in backend.requests()
        if one.batch_job_id and one.status == 404
    )
    assert not asked, f"batch jobs of others were asked for: {asked}"


@pytest.mark.long
def test_two_accounts_that_run_it_at_once_compute_each_row_once(tmp_path, north, south) -> None:
    both = [begin(tmp_path, north, south, f"--as={name}") for name in ("xenia", "yvonne")]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert all(output.endswith("all done\n") for output in outputs), outputs
    check(tmp_path, north, south)
    assert min(count_attempts(tmp_path).values()) > 0
    assert count_attempts(tmp_path).keys() == {"xenia", "yvonne"}


def assert_audit_does_not_judge_others(folder: Path, north) -> None:
    connect = connect_to_url(north.url, "yvonne")
    findings = {f.check: f for f in audit(folder / "jobs.sqlite", {"north": connect}).findings}
    (number,) = query(
        folder / "jobs.sqlite",
        "SELECT count(*) FROM attempts WHERE account = 'xenia' AND backend_name = 'north'",
    )[0]
    others = findings["attempts of other accounts"]
    assert (others.verdict, others.number) == (Verdict.NOT_CHECKED, number)
    assert findings["of rows under way, and not listed"].verdict is Verdict.FINE


def users_of_batch_jobs(*backends) -> dict[str, str]:
    return {one.id: one.user for backend in backends for one in backend.truth().batch_jobs}
