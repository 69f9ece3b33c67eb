"""Starting, stopping, killing: what stays, and what is cleaned up."""

import gc
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from openeo_jobs.errors import UsageError
from openeo_jobs.simulator import Simulator, serve

CAMPAIGN = """
import sys
from openeo_jobs.simulator import Simulator
with Simulator(folder=sys.argv[1], queue_seconds=(0, 0), run_seconds=(60, 60)) as backend:
    print(backend.url, flush=True)
    sys.stdin.read()
"""


def test_a_restarted_simulator_goes_on_at_the_same_url_with_the_same_login(backend, api, clock):
    url, batch_job_id = backend.url, api.create()
    api.start(batch_job_id)
    backend.stop()
    clock.advance(60)
    backend.start()
    assert backend.url == url
    assert api.get_status(batch_job_id) == "running"
    assert api.create() != batch_job_id


def test_another_process_can_go_on_in_the_folder(open_backend, open_api, tmp_path, clock):
    first = open_backend(folder=tmp_path / "shared")
    api = open_api(first)
    created, stopped, deleted = (api.create(f"row {row}") for row in range(3))
    for batch_job_id in (stopped, deleted):
        api.start(batch_job_id)
    clock.advance(60)
    api("PATCH", f"/jobs/{created}", json={"title": "patched"})
    api("DELETE", f"/jobs/{stopped}/results")
    api("DELETE", f"/jobs/{deleted}")
    first.stop()
    second = open_backend(folder=tmp_path / "shared")
    assert second.truth() == first.truth()
    assert api.get(created)["title"] == "patched"
    assert api.get_status(stopped) == "canceled"


def test_a_killed_simulator_has_kept_all_that_it_answered(tmp_path, open_api):
    command = [sys.executable, "-c", CAMPAIGN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        api = open_api(type("Killed", (), {"url": url}))
        ids = [api.create(f"row {row}") for row in range(20)]
        api.start(ids[0])
        os.kill(process.pid, signal.SIGKILL)
    with Simulator(folder=tmp_path) as backend:
        assert backend.url == url
        assert [job.id for job in backend.truth().batch_jobs] == ids
        assert open_api(backend).get_status(ids[0]) == "running"


def test_half_a_line_at_the_end_of_the_journal_is_cut_off(backend, api):
    batch_job_id = api.create()
    backend.stop()
    with (backend.folder / "batch_jobs.jsonl").open("a") as journal:
        journal.write('{"id": "north-00002", "us')
    backend.start()
    other = api.create()
    backend.stop()
    backend.start()
    assert [job.id for job in backend.truth().batch_jobs] == [batch_job_id, other]


def test_stopping_is_quick_although_connections_are_open(backend):
    connections = [http.client.HTTPConnection(backend.url.removeprefix("http://")) for _ in range(20)]
    for connection in connections:
        connection.request("GET", "/")
        connection.getresponse().read()
    began = time.perf_counter()
    backend.stop()
    assert time.perf_counter() - began < 1
    for connection in connections:
        connection.close()


def test_stopping_is_quick_and_quiet_although_a_request_is_under_way(open_backend, caplog):
    backend = open_backend(latency_seconds=60)
    connection = http.client.HTTPConnection(backend.url.removeprefix("http://"))
    connection.request("GET", "/")
    began = time.perf_counter()
    backend.stop()
    assert time.perf_counter() - began < 1
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()
    assert not caplog.records


def test_a_request_that_is_broken_off_has_no_effect(backend, api):
    address = ("127.0.0.1", int(backend.url.rpartition(":")[2]))
    head = f"POST /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {api.session.headers['Authorization']}\r\n"
    body = json.dumps({"process": {"process_graph": {"x": {}}}})
    with socket.create_connection(address) as client:
        client.sendall(f"{head}Content-Length: {len(body) + 1}\r\n\r\n{body}".encode())
    assert api("GET", "/jobs").json()["jobs"] == []
    backend.stop()
    assert not backend.truth().batch_jobs
    assert not backend.requests("POST")


def test_several_simulators_live_in_one_process(open_backend, open_api):
    backends = [open_backend(name=name) for name in ("north", "south")]
    for backend in backends:
        assert open_api(backend).create() == f"{backend.name}-00001"
    assert len({backend.url for backend in backends}) == 2


def test_a_login_of_one_simulator_is_worth_nothing_at_another(open_backend, open_api):
    api = open_api(open_backend())
    api.url = open_backend().url
    assert api("GET", "/me").json()["code"] == "TokenInvalid"


def test_a_port_that_is_taken_is_refused_with_the_reason(backend, tmp_path):
    port = int(backend.url.rpartition(":")[2])
    with pytest.raises(UsageError, match=f"port {port} cannot be used"):
        Simulator(folder=tmp_path / "other", port=port).start()
    with pytest.raises(UsageError, match="another simulator in the same folder"):
        Simulator(folder=backend.folder).start()


def test_a_given_port_is_used_and_kept(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Simulator(folder=tmp_path, port=port) as backend:
        assert backend.url == f"http://127.0.0.1:{port}"
    assert json.loads((tmp_path / "address.json").read_text())["port"] == port


def test_a_temporary_folder_goes_with_its_simulator():
    backend = Simulator()
    with backend:
        folder = backend.folder
        assert folder.is_dir()
    del backend
    gc.collect()
    assert not folder.exists()


def test_nothing_can_be_asked_before_the_start(tmp_path):
    with pytest.raises(UsageError, match="was not started"):
        Simulator(folder=tmp_path).truth()


def test_starting_and_stopping_twice_does_no_harm(backend):
    url = backend.url
    backend.start()
    assert backend.url == url
    backend.stop()
    backend.stop()


def test_the_fixture_gives_a_simulator_that_runs(simulator, open_api):
    assert open_api(simulator).create() == "north-00001"


def test_serving_ends_with_ctrl_c_and_stops_the_simulator(tmp_path):
    backend = Simulator(folder=tmp_path)
    with socket.socket() as client:

        def announce(started):
            client.connect(("127.0.0.1", int(started.url.rpartition(":")[2])))
            threading.Timer(0.05, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()

        serve.run(backend, announce=announce)
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", int(backend.url.rpartition(":")[2]))) != 0


def test_importing_the_simulator_imports_neither_openeo_nor_pandas():
    heavy = {"openeo", "pandas", "pytest", "requests"}
    code = f"import sys, openeo_jobs.simulator; print({heavy} & set(sys.modules))"
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "set()"
