"""A campaign on every kind of backend that the simulator knows ends, with the right statuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from campaigning import QUICK, connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import PROFILES, Simulator, TrueBatchJob
from openeo_jobs.status import JobStatus

pytestmark = pytest.mark.thorough

EVERY_DAY = ("restarted",)
PATIENT: dict[str, dict[str, float]] = {"late-registry": {"grace": 1.0}, "absent-member": {"lost_after": 3.0}}
"""What a user sets there: listings lag less than `grace`, and nothing is away for `lost_after`."""
WAITS_FOR_A_PERSON = (JobStatus.SUBMITTING, None, None, True)


@pytest.mark.parametrize(
    "profile",
    [name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.long) for name in PROFILES],
)
def test_a_campaign_on_each_profile_ends_with_the_right_statuses(tmp_path: Path, profile: str) -> None:
    with Simulator(folder=tmp_path / "north", seed=5, profile=profile, **QUICK) as north:
        run(tmp_path, north, **PATIENT.get(profile, {}))
        assert check(tmp_path, north, profile) == 60
        assert any(one.fault for one in north.requests()) is bool(PROFILES[profile].faults)


def test_one_campaign_goes_over_backends_of_every_profile(tmp_path: Path) -> None:
    """The periods are those of the most patient, and each row runs on any of them."""
    backends = [
        Simulator(folder=tmp_path / name, seed=number, profile=name, name=name, **QUICK)
        for number, name in enumerate(PROFILES)
    ]
    try:
        for backend in backends:
            backend.start()
        run(tmp_path, *backends, parallel_jobs=1, grace=1.0, lost_after=1.5)
        assert sum(check(tmp_path, backend, backend.name) for backend in backends) == 60
    finally:
        for backend in backends:
            backend.stop()


def run(folder: Path, *backends: Simulator, parallel_jobs: int = 12, **settings: Any) -> None:
    """Run 60 rows; then once more, as ends that were told wrongly are looked at again by the next run."""
    quick = {"poll_sleep": 0.05, "grace": 0.2, "lost_after": 0.3, "cancel_running_job_after": 0.8}
    for _ in range(2):
        manager = MultiBackendJobManager(**{**quick, "root_dir": folder / "results", **settings})
        for backend in backends:
            manager.add_backend(backend.name, connect_to(backend), parallel_jobs=parallel_jobs)
        manager.run_jobs(make_rows(60), start_job, folder / "jobs.csv")


def check(folder: Path, backend: Simulator, profile: str) -> int:
    """Hold the database against what really happened on a backend; return how many rows went there."""
    rows = query(
        folder / "jobs.sqlite",
        "SELECT jobs.job, jobs.status, jobs.results_status, jobs.id, job.needs_person_since IS NOT NULL "
        "FROM jobs JOIN job ON job.id = jobs.job WHERE jobs.backend_name = ?",
        backend.name,
    )
    known = {one for (one,) in query(folder / "jobs.sqlite", "SELECT id FROM batch_jobs")}
    truth = backend.truth()
    assert [one.id for one in truth.batch_jobs if one.starts and one.id not in known] == []
    expected = {}
    for number, batch_jobs in truth.batch_jobs_per_row.items():
        (one,) = batch_jobs
        assert one.executions <= 1
        expected[number] = find_outcome(one, profile)
    assert {number: (*rest, bool(waits)) for number, *rest, waits in rows} == expected
    for _, _, results_status, batch_job_id, _ in rows:
        document = folder / "results" / f"job_{batch_job_id}" / "job-results.json"
        assert document.exists() is (results_status == "downloaded")
    return len(rows)


def find_outcome(one: TrueBatchJob, profile: str) -> tuple[JobStatus, str | None, str | None, bool]:
    """Return what the row of this batch job has to be: status, status of its results, id, who has to act."""
    if not one.starts:
        return WAITS_FOR_A_PERSON
    if one.vanishes_at is not None:
        return JobStatus.LOST, None, one.id, False
    if one.status is not JobStatus.FINISHED:
        return one.status, None, one.id, False
    return one.status, "failed" if profile == "unsigned-links" else "downloaded", one.id, False
