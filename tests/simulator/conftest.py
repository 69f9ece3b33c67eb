"""A backend whose clock the test moves, and a client that speaks to it without openEO's Python client."""

from datetime import UTC, datetime, timedelta

import pytest
import requests

from openeo_jobs.simulator import Simulator
from openeo_jobs.simulator.fixtures import simulator

__all__ = ["simulator"]

PROCESS = {
    "process_graph": {
        "load": {
            "process_id": "load_collection",
            "arguments": {
                "id": "SENTINEL2_L2A",
                "spatial_extent": {"west": 4.2, "south": 51.0, "east": 4.4, "north": 51.2},
                "temporal_extent": ["2023-01-01", "2024-01-01"],
                "bands": ["B04", "B08"],
            },
        },
        "ndvi": {"process_id": "ndvi", "arguments": {"data": {"from_node": "load"}}},
        "save": {
            "process_id": "save_result",
            "arguments": {"data": {"from_node": "ndvi"}, "format": "GTiff"},
            "result": True,
        },
    }
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)


class Api:
    """Requests to a simulator, as one user."""

    def __init__(self, backend, user="user"):
        self.backend = backend
        self.url = backend.url
        self.session = requests.Session()
        login = self.session.get(f"{self.url}/credentials/basic", auth=(user, "password"))
        self.session.headers["Authorization"] = f"Bearer basic//{login.json()['access_token']}"

    def __call__(self, method, path, **kwargs):
        url = path if path.startswith("http") else self.url + path
        return self.session.request(method, url, timeout=10, **kwargs)

    def create(self, title="NDVI 31UFS 2023", process=PROCESS, **body):
        answer = self("POST", "/jobs", json={"title": title, "process": process, **body})
        assert answer.status_code == 201, answer.text
        return answer.headers["OpenEO-Identifier"]

    def start(self, batch_job_id):
        return self("POST", f"/jobs/{batch_job_id}/results")

    def get(self, batch_job_id):
        return self("GET", f"/jobs/{batch_job_id}").json()

    def get_status(self, batch_job_id):
        return self.get(batch_job_id)["status"]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_backend(tmp_path, clock):
    """Open simulators on the test's clock, 10 s in the queue, 100 s running; all are stopped at the end."""
    backends = []

    def open_it(**kwargs):
        options = {"queue_seconds": (10, 10), "run_seconds": (100, 100), "clock": clock, **kwargs}
        backend = Simulator(**{"folder": tmp_path / f"backend-{len(backends)}", **options})
        backends.append(backend)
        backend.start()
        return backend

    yield open_it
    for backend in backends:
        backend.stop()


@pytest.fixture
def open_api():
    """Open clients; all are closed at the end."""
    apis = []

    def open_it(backend, user="user"):
        apis.append(Api(backend, user))
        return apis[-1]

    yield open_it
    for api in apis:
        api.session.close()


@pytest.fixture
def backend(open_backend):
    return open_backend()


@pytest.fixture
def api(backend, open_api):
    return open_api(backend)
