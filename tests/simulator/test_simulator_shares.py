"""Faults that hit a share of the requests to an endpoint, drawn from the seed."""

import pytest
import requests

from openeo_jobs.errors import UsageError
from openeo_jobs.simulator import Fault

BUSY = Fault(endpoint="POST /jobs", kind="answer", share=0.3)
BODY = {"title": "a", "process": {"process_graph": {"x": {}}}}


def _post_many(api, number=40):
    return [api("POST", "/jobs", json=BODY).status_code for _ in range(number)]


def test_the_same_seed_hits_the_same_requests(open_backend, open_api):
    first, again, other = (_post_many(open_api(open_backend(seed=seed, faults=[BUSY]))) for seed in (3, 3, 4))
    assert first == again != other
    assert set(first) == {201, 503}
    assert 4 <= first.count(503) <= 20


def test_other_endpoints_do_not_move_what_hits_this_one(open_backend, open_api):
    alone, mixed = (open_api(open_backend(faults=[BUSY])) for _ in range(2))
    expected = _post_many(alone, 20)
    found = []
    for _ in range(20):
        mixed("GET", "/jobs")
        found += _post_many(mixed, 1)
    assert found == expected


@pytest.mark.parametrize(
    ("endpoint", "hit"),
    [
        ("*", {"list", "get", "logs"}),
        ("GET /jobs", {"list"}),
        ("GET /jobs/{job_id}", {"get"}),
        ("GET /jobs/{}/logs", {"logs"}),
        ("POST /jobs/{job_id}", set()),
    ],
)
def test_a_fault_hits_its_endpoint_and_no_other(open_backend, endpoint, hit):
    backend = open_backend(faults=[Fault(endpoint=endpoint, kind="answer", share=1)])
    paths = {"list": "/jobs", "get": "/jobs/a", "logs": "/jobs/a/logs"}
    got = {name: requests.get(backend.url + path, timeout=10).status_code for name, path in paths.items()}
    assert {name for name, status in got.items() if status == 503} == hit


def test_an_error_page_is_html_and_comes_after_the_effect(open_backend, open_api):
    page = Fault(
        endpoint="POST /jobs",
        kind="page",
        status=504,
        message="<Gateway> Time-out",
        after_effect=True,
        headers={"Retry-After": "7"},
    )
    backend = open_backend(faults=[page])
    answer = open_api(backend)("POST", "/jobs", json=BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (504, "7")
    assert answer.headers["content-type"].startswith("text/html")
    assert "&lt;Gateway&gt; Time-out" in answer.text
    assert len(backend.truth().batch_jobs) == 1


def test_too_many_requests_come_with_the_time_to_wait(open_backend, open_api):
    fault = Fault(
        endpoint="GET /jobs",
        kind="answer",
        status=429,
        code="TooManyRequests",
        headers={"Retry-After": "1"},
    )
    answer = open_api(open_backend(faults=[fault]))("GET", "/jobs")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.json()["code"] == "TooManyRequests"


def test_the_log_tells_which_fault_hit_a_request(open_backend, open_api):
    wait = Fault(endpoint="POST /jobs", kind="wait", seconds=(0.001, 0.002))
    lost = Fault(endpoint="POST /jobs", kind="answer", status=504, code="Timeout", after_effect=True)
    backend = open_backend(faults=[lost, wait])
    api = open_api(backend)
    api("POST", "/jobs", json=BODY)
    api("GET", "/jobs")
    backend.unavailable()
    api("GET", "/jobs")
    assert [(one.method, one.status, one.fault) for one in backend.requests(path="^/jobs")] == [
        ("POST", 504, "wait, 504 after the effect"),
        ("GET", 200, None),
        ("GET", 503, "503"),
    ]


def test_a_wait_is_as_long_as_it_says(open_backend, open_api):
    fault = Fault(endpoint="GET /jobs", kind="wait", seconds=(0.05, 0.06))
    answer = open_api(open_backend(faults=[fault]))("GET", "/jobs")
    assert answer.elapsed.total_seconds() >= 0.05


def test_an_error_on_demand_comes_before_one_by_share(open_backend, open_api):
    backend = open_backend(faults=[Fault(endpoint="GET /jobs", kind="answer", status=500)])
    api = open_api(backend)
    backend.fail_next("GET", "^/jobs$", 418, "Teapot")
    assert [api("GET", "/jobs").status_code for _ in range(2)] == [418, 500]


@pytest.mark.parametrize(
    ("nonsense", "message"),
    [
        ({"endpoint": "jobs", "kind": "drop"}, "no endpoint"),
        ({"endpoint": "*", "kind": "explode"}, "no kind of fault 'explode'; there are: wait, answer"),
        ({"endpoint": "*", "kind": "drop", "share": 5}, "from 0 to 1"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(nonsense, message):
    with pytest.raises(UsageError, match=message):
        Fault(**nonsense)
