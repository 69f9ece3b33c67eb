"""The life of a batch job over HTTP, as the openEO API 1.2.0 specifies it."""

import pytest


@pytest.fixture
def queued(api):
    batch_job_id = api.create()
    assert api.start(batch_job_id).status_code == 202
    return batch_job_id


@pytest.fixture
def running(queued, clock):
    clock.advance(60)
    return queued


@pytest.fixture
def finished(queued, clock):
    clock.advance(111)
    return queued


def test_a_new_batch_job_is_created_and_says_where_it_is(api):
    answer = api("POST", "/jobs", json={"title": "a", "process": {"process_graph": {"x": {}}}})
    batch_job_id = answer.headers["OpenEO-Identifier"]
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{api.url}/jobs/{batch_job_id}"
    assert api("GET", answer.headers["Location"]).json()["status"] == "created"


def test_a_created_batch_job_does_nothing_until_it_is_started(api, clock):
    batch_job_id = api.create()
    clock.advance(10_000)
    assert api.get_status(batch_job_id) == "created"


@pytest.mark.parametrize(
    ("seconds", "status", "progress"),
    [(0, "queued", 0), (9, "queued", 0), (10, "running", 0), (60, "running", 50), (110, "finished", 100)],
)
def test_a_started_batch_job_is_queued_then_runs_then_finishes(api, queued, clock, seconds, status, progress):
    clock.advance(seconds)
    job = api.get(queued)
    assert (job["status"], job["progress"]) == (status, progress)


@pytest.mark.parametrize(
    ("seconds", "updated"), [(0, "12:00:00.000Z"), (60, "12:00:10.000Z"), (999, "12:01:50.000Z")]
)
def test_updated_is_the_last_change_of_the_status(api, queued, clock, seconds, updated):
    clock.advance(seconds)
    assert api.get(queued)["updated"] == f"2024-05-01T{updated}"


def test_costs_and_usage_are_only_known_at_the_end(api, running, clock):
    job = api.get(running)
    assert job["costs"] is None
    assert "usage" not in job
    clock.advance(100)
    job = api.get(running)
    assert job["costs"] == 100
    assert job["usage"]["cpu"] == {"value": 400, "unit": "cpu-seconds"}
    assert job["usage"]["memory"]["unit"] == "mb-seconds"
    assert job["usage"]["duration"] == {"value": 100, "unit": "seconds"}


def test_what_was_sent_comes_back(api):
    batch_job_id = api.create("a title", job_options={"driver-memory": "2G"}, description="words")
    job = api.get(batch_job_id)
    assert job["title"] == "a title"
    assert job["job_options"] == {"driver-memory": "2G"}
    assert job["description"] == "words"
    assert "load" in job["process"]["process_graph"]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_starting_an_active_batch_job_has_no_effect(api, backend, request, status):
    batch_job_id = request.getfixturevalue(status)
    before = api.get(batch_job_id)
    assert api.start(batch_job_id).status_code == 202
    assert api.get(batch_job_id) == before
    assert backend.truth().executions == {batch_job_id: 1}


def test_starting_a_finished_batch_job_begins_anew_and_discards_the_results(api, backend, finished):
    assert api("GET", f"/jobs/{finished}/results").status_code == 200
    assert api.start(finished).status_code == 202
    assert api.get_status(finished) == "queued"
    assert api("GET", f"/jobs/{finished}/results").json()["code"] == "JobNotFinished"
    assert backend.truth().executions == {finished: 2}


def test_a_restart_costs_again(api, finished, clock):
    api.start(finished)
    clock.advance(111)
    assert api.get(finished)["costs"] == 200


def test_a_queued_batch_job_that_is_stopped_is_created_again(api, backend, queued):
    assert api("DELETE", f"/jobs/{queued}/results").status_code == 204
    assert api.get_status(queued) == "created"
    assert backend.truth().executions == {queued: 0}


def test_a_running_batch_job_that_is_stopped_is_canceled_and_keeps_partial_results(api, running, clock):
    assert api("DELETE", f"/jobs/{running}/results").status_code == 204
    clock.advance(1000)
    job = api.get(running)
    assert (job["status"], job["progress"], job["costs"]) == ("canceled", 50, 50)
    results = api("GET", f"/jobs/{running}/results").json()
    assert results["openeo:status"] == "canceled"
    assert list(results["assets"]) == ["openEO.tif"]


def test_stopping_what_is_not_active_has_no_effect(api, finished):
    assert api("DELETE", f"/jobs/{finished}/results").status_code == 204
    assert api.get_status(finished) == "finished"


def test_a_patch_changes_the_body(api):
    batch_job_id = api.create("before", description="stays")
    assert api("PATCH", f"/jobs/{batch_job_id}", json={"title": "after"}).status_code == 204
    job = api.get(batch_job_id)
    assert (job["title"], job["description"]) == ("after", "stays")


@pytest.mark.parametrize("status", ["queued", "running"])
def test_an_active_batch_job_is_locked(api, request, status):
    answer = api("PATCH", f"/jobs/{request.getfixturevalue(status)}", json={"title": "after"})
    assert (answer.status_code, answer.json()["code"]) == (400, "JobLocked")


def test_a_deleted_batch_job_is_gone_and_its_execution_ends(api, backend, running, clock):
    assert api("DELETE", f"/jobs/{running}").status_code == 204
    answer = api("GET", f"/jobs/{running}")
    assert (answer.status_code, answer.json()["code"]) == (404, "JobNotFound")
    (job,) = backend.truth().batch_jobs
    assert job.deleted_at == clock.now
    assert job.status == "canceled"


def test_a_start_beyond_the_concurrency_limit_is_refused_until_there_is_room(open_backend, open_api, clock):
    backend = open_backend(concurrent_jobs=2)
    api = open_api(backend)
    first, second, third = (api.create(f"row {row}") for row in range(3))
    assert api.start(first).status_code == api.start(second).status_code == 202
    answer = api.start(third)
    assert (answer.status_code, answer.json()["code"]) == (400, "ConcurrentJobLimit")
    assert "concurrent job limit (2) is reached" in answer.json()["message"]
    assert api.start(first).status_code == 202
    clock.advance(111)
    assert api.start(third).status_code == 202
    assert backend.truth().peak_parallel == 2


def test_a_budget_that_does_not_reach_is_refused_at_the_start(api):
    batch_job_id = api.create(budget=1)
    answer = api.start(batch_job_id)
    assert (answer.status_code, answer.json()["code"]) == (402, "PaymentRequired")
    assert api.get_status(batch_job_id) == "created"


def test_an_estimate_has_costs_and_a_duration(api):
    answer = api("GET", f"/jobs/{api.create()}/estimate").json()
    assert (answer["costs"], answer["duration"]) == (100, "PT100.000S")


@pytest.mark.parametrize("body", [{}, {"process": {}}, {"process": {"process_graph": {}}}, {"process": 1}])
def test_a_body_without_a_process_is_refused(api, backend, body):
    answer = api("POST", "/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "ProcessGraphMissing")
    assert backend.truth().batch_jobs == ()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused_in_openeo_form(api, body):
    answer = api("POST", "/jobs", data=body)
    assert answer.status_code == 400
    assert set(answer.json()) >= {"code", "message"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/results"),
        ("DELETE", "/results"),
        ("GET", "/logs"),
    ],
)
def test_an_unknown_batch_job_is_not_found(api, method, path):
    answer = api(method, f"/jobs/nobody{path}", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "JobNotFound")
