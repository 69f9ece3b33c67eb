"""The public fakes."""

from __future__ import annotations

import pytest

from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.status import JobStatus
from openeo_jobs.testing import FakeGateway, make_job


def test_a_job_has_sensible_defaults_and_takes_overrides():
    assert make_job().status is JobStatus.NOT_STARTED
    job = make_job(number=7, status=JobStatus.RUNNING)
    assert (job.number, job.position, job.status) == (7, 6, "running")


def test_a_failure_comes_once_and_before_the_effect():
    gateway = FakeGateway()
    batch_job_id = gateway.create()
    gateway.fail_next("start", BackendUnavailableError("down"))
    with pytest.raises(BackendUnavailableError):
        gateway.start(batch_job_id)
    assert gateway.batch_jobs[batch_job_id].starts == 0
    gateway.start(batch_job_id)
    assert gateway.batch_jobs[batch_job_id].status == "queued"


def test_an_answer_can_get_lost():
    gateway = FakeGateway()
    batch_job_id = gateway.create()
    gateway.fail_next("start", BackendUnavailableError("late"), after_effect=True)
    with pytest.raises(BackendUnavailableError):
        gateway.start(batch_job_id)
    assert gateway.batch_jobs[batch_job_id].starts == 1


def test_a_registry_can_lag():
    gateway = FakeGateway()
    job = gateway.batch_jobs[gateway.create("t")]
    job.is_listed = False
    assert gateway.list_batch_jobs().batch_jobs == ()
    assert gateway.get_batch_job(job.batch_job_id).title == "t"


def test_calls_are_noted():
    gateway = FakeGateway()
    batch_job_id = gateway.create()
    gateway.get_batch_job(batch_job_id)
    gateway.list_batch_jobs()
    assert gateway.calls == [("get_batch_job", batch_job_id), ("list_batch_jobs",)]


def test_a_restart_discards_the_results():
    gateway = FakeGateway()
    batch_job_id = gateway.create()
    gateway.start(batch_job_id)
    job = gateway.batch_jobs[batch_job_id]
    job.status, job.results = "finished", {"a.tif": b"x"}
    gateway.start(batch_job_id)
    assert (job.starts, job.results) == (2, {})
