"""What every gateway does: the fake one, and the one over a Connection against a simulated backend."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import openeo
import pytest

from downloading import download
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Listing
from openeo_jobs.testing import FakeGateway

PROCESS = {"add": {"process_id": "add", "arguments": {"x": 1, "y": 2}, "result": True}}


class Fake:
    """Batch jobs in memory."""

    def __init__(self, tmp_path):
        self.gateway = FakeGateway("north", account="user")

    def log_in_as(self, account):
        return self.gateway.log_in_as(account)

    def create(self, title=None):
        return self.gateway.create(title)

    def queue_to_running(self, batch_job_id):
        self.gateway.batch_jobs[batch_job_id].status = "running"

    def running_to_finished(self, batch_job_id):
        job = self.gateway.batch_jobs[batch_job_id]
        job.status, job.costs, job.results = "finished", 2.5, {"a.tif": b"TIFF"}

    def break_down(self):
        error = BackendUnavailableError("[503] down", http_status=503)
        for method in ("get_batch_job", "list_batch_jobs", "start", "stop", "get_results"):
            self.gateway.fail_next(method, error)

    def close(self):
        pass


class Simulated:
    """A simulated backend over real sockets, whose clock is moved by hand."""

    def __init__(self, tmp_path):
        simulator = pytest.importorskip("openeo_jobs.simulator")
        self.now = datetime(2024, 1, 1, tzinfo=UTC)
        self.backend = simulator.Simulator(
            folder=tmp_path / "north",
            queue_seconds=(10, 10),
            run_seconds=(100, 100),
            clock=lambda: self.now,
        )
        self.backend.start()
        self.connection = openeo.connect(self.backend.url).authenticate_basic("user", "password")
        self.gateway = OpenEOGateway("north", lambda: self.connection, timeout_seconds=5)

    def log_in_as(self, account):
        connection = openeo.connect(self.backend.url).authenticate_basic(account, "password")
        return OpenEOGateway("north", lambda: connection, timeout_seconds=5)

    def create(self, title=None):
        return self.connection.create_job(PROCESS, title=title, validate=False).job_id

    def queue_to_running(self, batch_job_id):
        self.now += timedelta(seconds=50)

    def running_to_finished(self, batch_job_id):
        self.now += timedelta(seconds=100)

    def break_down(self):
        self.backend.unavailable()

    def close(self):
        self.backend.stop()


@pytest.fixture(params=[Fake, Simulated])
def world(request, tmp_path):
    world = request.param(tmp_path)
    yield world
    world.close()


@pytest.fixture
def gateway(world) -> Gateway:
    return world.gateway


def status_of(gateway, batch_job_id):
    return gateway.get_batch_job(batch_job_id).status


def finish(world, batch_job_id):
    world.gateway.start(batch_job_id)
    world.queue_to_running(batch_job_id)
    world.running_to_finished(batch_job_id)


def refusal(call, *arguments):
    with pytest.raises(BackendRefusedError) as raised:
        call(*arguments)
    return raised.value


def test_it_has_a_name(gateway):
    assert gateway.name == "north"


def test_it_has_a_url(gateway):
    assert gateway.url.startswith(("http://", "https://"))


def test_it_knows_as_whom_it_is_logged_in(world, gateway):
    assert gateway.get_account() == "user"


def test_batch_jobs_of_another_account_do_not_exist(world, gateway):
    batch_job_id = world.create("mine")
    other = world.log_in_as("somebody else")
    assert other.get_account() == "somebody else"
    assert refusal(other.get_batch_job, batch_job_id).http_status == 404
    assert refusal(other.start, batch_job_id).http_status == 404
    assert list(other.list_batch_jobs().batch_jobs) == []


def test_a_batch_job_is_created_inert(world, gateway):
    batch_job_id = world.create("tile [oj-1]")
    seen = gateway.get_batch_job(batch_job_id)
    assert (seen.batch_job_id, seen.status, seen.title) == (batch_job_id, "created", "tile [oj-1]")
    assert seen.metadata["id"] == batch_job_id


def test_a_batch_job_that_is_deleted_is_unknown_and_not_listed(world, gateway):
    batch_job_id, other = world.create("tile"), world.create("tile")
    gateway.delete(batch_job_id)
    assert refusal(gateway.get_batch_job, batch_job_id).http_status == 404
    assert refusal(gateway.delete, batch_job_id).http_status == 404
    assert [seen.batch_job_id for seen in gateway.list_batch_jobs().batch_jobs] == [other]


def test_a_start_queues_and_the_end_has_costs(world, gateway):
    batch_job_id = world.create()
    gateway.start(batch_job_id)
    assert status_of(gateway, batch_job_id) == "queued"
    world.queue_to_running(batch_job_id)
    assert status_of(gateway, batch_job_id) == "running"
    world.running_to_finished(batch_job_id)
    seen = gateway.get_batch_job(batch_job_id)
    assert seen.status == "finished"
    assert seen.costs is not None


def test_starting_what_is_queued_changes_nothing(world, gateway):
    batch_job_id = world.create()
    gateway.start(batch_job_id)
    gateway.start(batch_job_id)
    assert status_of(gateway, batch_job_id) == "queued"


def test_stopping_what_is_queued_makes_it_created(world, gateway):
    batch_job_id = world.create()
    gateway.start(batch_job_id)
    gateway.stop(batch_job_id)
    assert status_of(gateway, batch_job_id) == "created"


def test_stopping_what_runs_ends_it(world, gateway):
    batch_job_id = world.create()
    gateway.start(batch_job_id)
    world.queue_to_running(batch_job_id)
    gateway.stop(batch_job_id)
    assert status_of(gateway, batch_job_id) in ("canceled", "created")


def test_an_unknown_batch_job_is_refused_with_404(gateway):
    for call in (gateway.get_batch_job, gateway.start, gateway.stop):
        error = refusal(call, "nothing")
        assert (error.http_status, error.code) == (404, "JobNotFound")


def test_an_unknown_batch_job_has_no_logs(gateway):
    assert gateway.get_error_logs("nothing") == []
    assert gateway.get_last_log_line("nothing") is None


@pytest.mark.parametrize("count", [0, 1, 100, 205])
def test_all_batch_jobs_are_listed_with_their_titles(world, gateway, count):
    created = {world.create(f"t{n}"): f"t{n}" for n in range(count)}
    listing = gateway.list_batch_jobs()
    assert isinstance(listing, Listing)
    assert listing.is_complete
    assert {job.batch_job_id: job.title for job in listing.batch_jobs} == created
    assert {job.status for job in listing.batch_jobs} <= {"created"}


def test_there_is_a_currency(gateway):
    assert gateway.get_currency() == "credits"


def test_results_are_refused_before_the_end(world, gateway, tmp_path):
    batch_job_id = world.create()
    error = refusal(download, gateway, batch_job_id, tmp_path / "results")
    assert error.http_status == 400


def test_results_are_files_and_a_document(world, gateway, tmp_path):
    batch_job_id, folder = world.create(), tmp_path / "results" / "job_1"
    finish(world, batch_job_id)
    assets = download(gateway, batch_job_id, folder)
    assert assets
    for asset in assets:
        assert asset.path.parent == folder
        assert asset.path.stat().st_size == asset.size > 0
        assert len(asset.checksum) == 64
    document = json.loads((folder / "job-results.json").read_text())
    assert set(document["assets"]) == {asset.name for asset in assets}
    assert {path.name for path in folder.iterdir()} == {a.path.name for a in assets} | {"job-results.json"}


def test_results_may_be_downloaded_again(world, gateway, tmp_path):
    batch_job_id = world.create()
    finish(world, batch_job_id)
    first = download(gateway, batch_job_id, tmp_path / "results")
    assert download(gateway, batch_job_id, tmp_path / "results") == first


def test_a_backend_that_is_down_is_unavailable(world, gateway, tmp_path):
    batch_job_id = world.create()
    world.break_down()
    for call in (
        lambda: gateway.get_batch_job(batch_job_id),
        gateway.list_batch_jobs,
        lambda: gateway.start(batch_job_id),
        lambda: gateway.stop(batch_job_id),
        lambda: download(gateway, batch_job_id, tmp_path / "results"),
    ):
        with pytest.raises(BackendUnavailableError) as raised:
            call()
        assert raised.value.http_status == 503


def test_answers_do_not_wait_for_anything(gateway):
    began = time.monotonic()
    gateway.list_batch_jobs()
    assert time.monotonic() - began < 2
