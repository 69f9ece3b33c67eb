"""Connections that are dropped: before the effect, after it, or when they are used again."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest
import requests

from openeo_jobs.simulator import Answers, Deviations, Fault

BODY = {"title": "a", "process": {"process_graph": {"x": {}}}}


@pytest.mark.parametrize(("after_effect", "count"), [(False, 0), (True, 1)])
def test_a_drop_comes_instead_of_the_effect_or_after_it(api, backend, after_effect, count):
    backend.drop_next("POST", "^/jobs$", after_effect=after_effect)
    with pytest.raises(requests.ConnectionError):
        api("POST", "/jobs", json=BODY)
    assert len(backend.truth().batch_jobs) == count
    assert api("POST", "/jobs", json=BODY).status_code == 201


def test_a_drop_closes_the_connection_without_a_byte(backend):
    backend.drop_next("GET", "^/$")
    address = urlsplit(backend.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1) == b""


def test_the_log_tells_that_nothing_was_answered_and_what_was_created(api, backend):
    backend.drop_next("POST", "^/jobs$", after_effect=True)
    with pytest.raises(requests.ConnectionError):
        api("POST", "/jobs", json=BODY)
    (request,) = backend.requests("POST", "^/jobs$")
    (job,) = backend.truth().batch_jobs
    assert (request.status, request.batch_job_id, request.title) == (None, job.id, "a")
    assert request.fault == "drop after the effect"


def test_a_share_of_the_connections_is_dropped(open_backend):
    backend = open_backend(faults=[Fault(endpoint="GET /", kind="drop", share=0.5)])
    for _ in range(20):
        try:
            requests.get(backend.url, timeout=10)
        except requests.ConnectionError:
            continue
    found = [(one.status, one.fault) for one in backend.requests("GET", "^/$")]
    assert set(found) == {(200, None), (None, "drop")}


def test_a_connection_is_closed_when_it_is_used_again_after_an_error(open_backend):
    backend = open_backend(deviations=Deviations(answers=Answers(resets_after_errors=True)))
    client = http.client.HTTPConnection(urlsplit(backend.url).netloc, timeout=10)
    for path, expected in (("/", 200), ("/nowhere", 404)):
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        assert answer.status == expected
    client.request("GET", "/")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.getresponse()
    client.close()
    assert requests.get(backend.url, timeout=10).status_code == 200
    assert [one.fault for one in backend.requests("GET", "^/$")] == [None, "drop after an error", None]
