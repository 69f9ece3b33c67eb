"""Batch jobs that fail, and how the seed decides which."""

import pytest

from openeo_jobs.simulator import Failures
from openeo_jobs.simulator.planning import read_memory

TITLES = [f"NDVI row {row}" for row in range(30)]


@pytest.fixture
def run(clock, open_api):
    """Create and start batch jobs, wait for their ends, and return their statuses by title."""

    def run_them(backend, titles, **body):
        api = open_api(backend)
        ids = {title: api.create(title, **body) for title in titles}
        for batch_job_id in ids.values():
            api.start(batch_job_id)
        clock.advance(1000)
        return {title: api.get_status(batch_job_id) for title, batch_job_id in ids.items()}

    return run_them


def _list_failed(statuses):
    return {title for title, status in statuses.items() if status == "error"}


def test_the_same_seed_fails_the_same_rows_in_any_order(open_backend, run):
    failures = Failures(out_of_memory=0.3, stage_failure=0.2)
    first = _list_failed(run(open_backend(seed=3, failures=failures), TITLES))
    again = _list_failed(run(open_backend(seed=3, failures=failures), reversed(TITLES)))
    other = _list_failed(run(open_backend(seed=4, failures=failures), TITLES))
    assert first == again != other
    assert 0 < len(first) < len(TITLES)


def test_a_tag_does_not_change_a_rows_fate(open_backend, run):
    failures = Failures(out_of_memory=0.5)
    plain = run(open_backend(failures=failures), TITLES)
    tagged = run(open_backend(failures=failures), [f"{title} [oj-1a2b3c-4f-x9k2q]" for title in TITLES])
    assert list(plain.values()) == list(tagged.values())


def test_out_of_memory_comes_back_until_there_is_more_memory(open_backend, run):
    backend = open_backend(failures=Failures(out_of_memory=0.5))
    failed = _list_failed(run(backend, TITLES))
    assert failed
    assert _list_failed(run(backend, failed)) == failed
    assert _list_failed(run(backend, failed, job_options={"executor-memoryOverhead": "1800m"})) == failed
    assert not _list_failed(run(backend, failed, job_options={"executor-memoryOverhead": "4G"}))
    assert not _list_failed(run(backend, failed, **{"executor-memoryOverhead": "4096m"}))


def test_out_of_memory_is_an_error_in_the_logs(open_backend, run, open_api):
    backend = open_backend(failures=Failures(out_of_memory=1))
    run(backend, ["a"])
    (job,) = backend.truth().batch_jobs
    (entry,) = open_api(backend)("GET", f"/jobs/{job.id}/logs?level=error").json()["logs"]
    assert entry["message"].startswith("Your batch job failed because workers used too much Python memory.")


def test_a_stage_failure_passes_and_leaves_no_error_in_the_logs(open_backend, run, open_api):
    backend = open_backend(failures=Failures(stage_failure=0.5))
    failed = _list_failed(run(backend, TITLES))
    assert failed
    assert _list_failed(run(backend, failed)) < failed
    job = next(job for job in backend.truth().batch_jobs if job.status == "error")
    logs = open_api(backend)("GET", f"/jobs/{job.id}/logs").json()["logs"]
    assert "Task 3 in stage 12 failed 4 times" in logs[-1]["message"]
    assert {entry["level"] for entry in logs} == {"info"}


def test_a_failed_batch_job_costs_what_it_ran(open_backend, run, open_api):
    backend = open_backend(failures=Failures(out_of_memory=1))
    run(backend, ["a"])
    (job,) = backend.truth().batch_jobs
    assert job.costs == open_api(backend).get(job.id)["costs"] == 100


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4G", 2**32), ("4096m", 2**32), ("4g", 2**32), (2**32, 2**32), ("1.5g", 1.5 * 2**30), ("4Gi", 2**32)],
)
def test_memory_is_read_in_the_spellings_of_spark(size, expected):
    assert read_memory(size) == expected


@pytest.mark.parametrize("size", ["", "lots", None, "4X"])
def test_memory_that_makes_no_sense_is_none(size):
    assert read_memory(size) == 0
