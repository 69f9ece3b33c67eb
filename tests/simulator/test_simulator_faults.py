"""Spans of 503, latency, and errors on demand."""

import time

import pytest


def test_an_outage_answers_503_for_its_span(api, backend, clock):
    batch_job_id = api.create()
    backend.unavailable(seconds=5)
    answer = api("GET", f"/jobs/{batch_job_id}")
    assert (answer.status_code, answer.json()["code"]) == (503, "InfrastructureBusy")
    assert api("GET", "/").status_code == 200
    clock.advance(5)
    assert api("GET", f"/jobs/{batch_job_id}").status_code == 200


def test_an_outage_has_no_effect_on_what_runs_and_lets_nothing_in(api, backend, clock):
    batch_job_id = api.create()
    api.start(batch_job_id)
    backend.unavailable()
    assert api("POST", "/jobs", json={}).status_code == 503
    clock.advance(1000)
    assert api("GET", "/jobs").status_code == 503
    backend.available()
    assert api.get_status(batch_job_id) == "finished"
    assert len(backend.truth().batch_jobs) == 1


def test_a_planned_outage_counts_from_the_first_creation(open_backend, open_api, clock):
    backend = open_backend(unavailable=(10, 5))
    api = open_api(backend)
    clock.advance(100)
    batch_job_id = api.create()
    statuses = []
    for _ in range(4):
        statuses.append(api("GET", f"/jobs/{batch_job_id}").status_code)
        clock.advance(5)
    assert statuses == [200, 200, 503, 200]


def test_a_planned_outage_does_not_begin_again_after_a_restart(open_backend, open_api, clock):
    backend = open_backend(unavailable=(10, 5))
    api = open_api(backend)
    batch_job_id = api.create()
    clock.advance(100)
    backend.stop()
    backend.start()
    api.create()
    clock.advance(12)
    assert api.get_status(batch_job_id) == "created"


@pytest.mark.parametrize(("after_effect", "count"), [(False, 0), (True, 1)])
def test_an_error_on_demand_comes_instead_of_the_effect_or_after_it(api, backend, after_effect, count):
    backend.fail_next("POST", "^/jobs$", 504, "Timeout", "Gateway time-out", after_effect=after_effect)
    answer = api("POST", "/jobs", json={"title": "a", "process": {"process_graph": {"x": {}}}})
    assert (answer.status_code, answer.json()["code"]) == (504, "Timeout")
    assert answer.json()["message"] == "Gateway time-out"
    assert len(backend.truth().batch_jobs) == count


def test_errors_on_demand_are_given_so_many_times_and_to_no_other_request(api, backend):
    batch_job_id = api.create()
    path = f"/jobs/{batch_job_id}"
    backend.fail_next("GET", f"^{path}$", 429, "TooManyRequests", times=2, headers={"Retry-After": "7"})
    assert api("GET", f"{path}/logs").status_code == 200
    answers = [api("GET", path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"


def test_the_log_tells_what_an_answer_that_got_lost_has_created(api, backend):
    backend.fail_next("POST", "^/jobs$", 504, "Timeout", after_effect=True)
    api("POST", "/jobs", json={"title": "a", "process": {"process_graph": {"x": {}}}})
    (request,) = backend.requests("POST", "^/jobs$")
    (job,) = backend.truth().batch_jobs
    assert (request.status, request.batch_job_id, request.title) == (504, job.id, "a")


def test_latency_delays_every_answer(open_backend, open_api):
    api = open_api(open_backend(latency_seconds=0.05))
    began = time.perf_counter()
    api("GET", "/jobs")
    assert time.perf_counter() - began >= 0.05
