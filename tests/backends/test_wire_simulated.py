"""The watch and the gateway together, against a simulated backend whose answers get lost."""

from __future__ import annotations

import openeo
import pytest

from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.backends.wire import watch, watching
from openeo_jobs.jobs import Outcome

pytest_plugins = ["scripted_backend"]

PROCESS = {"add": {"process_id": "add", "arguments": {"x": 1, "y": 2}, "result": True}}


@pytest.fixture
def simulator(tmp_path):
    package = pytest.importorskip("openeo_jobs.simulator")
    with package.Simulator(folder=tmp_path / "north") as simulator:
        yield simulator


@pytest.fixture
def connection(simulator):
    connection = openeo.connect(simulator.url).authenticate_basic("user", "password")
    watch(connection, "north")
    return connection


def test_a_creation_whose_answer_got_lost_is_found_by_its_tag(simulator, connection, recorder):
    simulator.fail_next("POST", "^/jobs$", 504, "Timeout", after_effect=True, times=4)
    call = recorder("north", tag="oj-c1-1-x")
    with watching(call), pytest.raises(openeo.rest.OpenEoApiError):
        connection.create_job(PROCESS, title="tile 7", validate=False)
    assert call.outcome is Outcome.UNKNOWN
    assert len(simulator.truth().batch_jobs) == 1
    [listed] = OpenEOGateway("north", lambda: connection).list_batch_jobs().batch_jobs
    assert listed.title == "tile 7 [oj-c1-1-x]"


def test_a_start_whose_answer_got_lost_is_sent_once(simulator, connection, recorder):
    call = recorder("north")
    with watching(call):
        job = connection.create_job(PROCESS, validate=False)
        simulator.fail_next("POST", "/results$", 504, "Timeout", after_effect=True, times=4)
        with pytest.raises(openeo.rest.OpenEoApiError):
            job.start()
    assert simulator.truth().executions == {job.job_id: 1}
    assert call.only("started")[2].http_status == 504
