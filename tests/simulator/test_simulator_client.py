"""The simulator through openEO's Python client."""

import hashlib
import time

import openeo
import pytest
from openeo.rest import JobFailedException, OpenEoApiError

from openeo_jobs.simulator import Failures, Simulator

EXTENT = {"west": 4.2, "south": 51.0, "east": 4.4, "north": 51.2}


def _connect(backend):
    return openeo.connect(backend.url).authenticate_basic("user", "password")


def _create(connection, title="NDVI 31UFS 2023", **kwargs):
    cube = connection.load_collection(
        "SENTINEL2_L2A",
        spatial_extent=EXTENT,
        temporal_extent=["2023-01-01", "2024-01-01"],
        bands=["B04", "B08"],
    )
    return cube.ndvi().max_time().create_job(title=title, out_format="GTiff", **kwargs)


def _wait(job):
    deadline = time.monotonic() + 10
    while job.status() not in ("finished", "error", "canceled"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return job.status()


def test_a_batch_job_is_created_started_and_downloaded(simulator, tmp_path):
    job = _create(_connect(simulator))
    job.start()
    assert _wait(job) == "finished"
    results = job.get_results()
    assert {path.name for path in results.download_files(tmp_path / "results")} == {
        "openEO.tif",
        "statistics.json",
        "quicklook.png",
        "job-results.json",
    }
    for name, asset in results.get_metadata()["assets"].items():
        content = (tmp_path / "results" / name).read_bytes()
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()


def test_the_client_waits_for_the_end_by_itself(simulator):
    job = _create(_connect(simulator))
    assert job.start_and_wait(print=lambda text: None, max_poll_interval=0.05).status() == "finished"


def test_a_failed_batch_job_raises_and_its_logs_tell_why(tmp_path):
    with Simulator(folder=tmp_path, failures=Failures(out_of_memory=1)) as backend:
        job = _create(_connect(backend))
        with pytest.raises(JobFailedException):
            job.start_and_wait(print=lambda text: None, max_poll_interval=0.05)
        assert "too much Python memory" in job.logs(level="error")[0].message
        cured = _create(_connect(backend), job_options={"executor-memoryOverhead": "4G"})
        assert cured.start_and_wait(print=lambda text: None, max_poll_interval=0.05).status() == "finished"


def test_a_connection_goes_on_after_a_restart(simulator):
    connection = _connect(simulator)
    job = _create(connection)
    job.start()
    simulator.stop()
    simulator.start()
    assert _wait(job) == "finished"
    assert [known["id"] for known in connection.list_jobs()] == [job.job_id]


def test_the_client_finds_what_is_wrong_with_a_process(simulator):
    connection = _connect(simulator)
    cube = connection.load_collection("COPERNICUS_30", spatial_extent=EXTENT)
    assert cube.validate() == []
    assert cube.process("evi_typo", data=cube).validate()[0]["code"] == "ProcessUnsupported"


def test_errors_reach_the_client_as_openeo_errors(simulator):
    job = _create(_connect(simulator))
    simulator.fail_next("GET", "^/jobs/", 402, "PaymentRequired", "The budget is used up.")
    with pytest.raises(OpenEoApiError, match=r"\[402\] PaymentRequired: The budget is used up"):
        job.status()


def test_metadata_costs_and_estimate_are_read_by_the_client(simulator):
    connection = _connect(simulator)
    job = _create(connection)
    assert job.estimate()["costs"] == 0.2
    job.start()
    _wait(job)
    assert job.describe()["costs"] > 0
    assert connection.describe_account()["user_id"] == "user"
    assert connection.capabilities().currency() == "credits"
    job.delete()
    assert connection.list_jobs() == []
