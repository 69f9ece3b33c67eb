"""What a request to cancel changes, and what it keeps others from."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage_tools import NOW, claim_one, create_one, reload, run_sql, seconds

from openeo_jobs.errors import JobMovedError
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import JobStore


def request(store: JobStore, number: int = 1):
    return store.cancellations.request([number], reason="by me", at=NOW)


def test_a_start_that_was_planned_before_the_request_is_not_begun(store: JobStore, runner_id: int) -> None:
    planned = create_one(store, runner_id, "j-1")
    request(store)
    with pytest.raises(JobMovedError, match="row 1 is to be canceled: it is not started"):
        store.progress.begin_start(planned, at=NOW)
    assert reload(store, planned).status is JobStatus.CREATED


def test_a_request_that_is_repeated_keeps_its_time(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")
    request(store)
    store.cancellations.request([1], reason="again", at=seconds(60))
    assert reload(store, job).cancel_requested_at == NOW


def test_a_row_of_which_something_may_run_waits_for_its_person_first(
    store: JobStore, runner_id: int, path: Path
) -> None:
    job = claim_one(store, runner_id)
    store.creations.record_start_sent(job, backend_name="north", batch_job_id="own-1", at=NOW)
    store.creations.ask_person(job, reason="two batch jobs", at=NOW)
    assert request(store).left == [1]
    assert run_sql(path, "SELECT status, cancel_requested_at FROM job WHERE id = 1") == [("submitting", None)]


def test_a_new_attempt_knows_nothing_of_the_request(store: JobStore, runner_id: int, path: Path) -> None:
    request(store)
    run_sql(path, "UPDATE job SET status = 'not_started' WHERE id = 1")
    job = store.jobs.one(1)
    assert job is not None
    assert (job.status, job.cancel_requested_at) == (JobStatus.NOT_STARTED, None)
    assert claim_one(store, runner_id).number == 1
