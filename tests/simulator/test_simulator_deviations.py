"""Answers that are written, or numbered, otherwise than the specification has it."""

import pytest

from openeo_jobs.simulator import Answers, Deviations, Documents, Failures


@pytest.fixture
def open_odd(open_backend, open_api):
    """Open a backend that deviates, and a client of it."""

    def open_it(part, **kwargs):
        name = "answers" if isinstance(part, Answers) else "documents"
        return open_api(open_backend(deviations=Deviations(**{name: part}), **kwargs))

    return open_it


@pytest.mark.parametrize(
    ("location", "expected"), [("double_slash", "{url}//jobs/{id}"), ("no_scheme", "{host}/jobs/{id}")]
)
def test_the_location_of_a_new_batch_job_is_odd(open_odd, location, expected):
    api = open_odd(Documents(location=location, has_identifier=False))
    answer = api("POST", "/jobs", json={"title": "a", "process": {"process_graph": {"x": {}}}})
    host = api.url.removeprefix("http://")
    assert answer.headers["Location"] == expected.format(url=api.url, host=host, id="north-00001")
    assert "OpenEO-Identifier" not in answer.headers


def test_dates_are_plain_and_the_update_stands_still(open_odd, clock):
    api = open_odd(Documents(has_plain_dates=True, updated="frozen"))
    batch_job_id = api.create()
    clock.advance(60)
    api.start(batch_job_id)
    job = api.get(batch_job_id)
    assert job["created"] == job["updated"] == "2024-05-01 12:00:00"


def test_dates_are_absent(open_odd):
    api = open_odd(Documents(updated="absent", has_created=False))
    job = api.get(api.create())
    assert not {"created", "updated"} & set(job)
    (entry,) = api("GET", "/jobs").json()["jobs"]
    assert not {"created", "updated"} & set(entry)


def test_progress_is_a_text_and_null_is_an_object(open_odd, clock):
    api = open_odd(Documents(has_progress_as_text=True, has_null_as_object=True))
    batch_job_id = api.create(plan=None, budget=None, description=None)
    api.start(batch_job_id)
    clock.advance(60)
    job = api.get(batch_job_id)
    assert job["progress"] == "50.0 %"
    assert (job["plan"], job["budget"], job["description"]) == ({}, {}, None)


def test_the_codes_of_errors_are_numbers(open_odd):
    answer = open_odd(Documents(has_numbers_as_codes=True))("GET", "/jobs/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, 404)


def test_the_entries_of_the_logs_are_texts(open_odd):
    api = open_odd(Documents(has_plain_logs=True))
    batch_job_id = api.create()
    api.start(batch_job_id)
    assert api("GET", f"/jobs/{batch_job_id}/logs").json()["logs"] == ["The batch job was queued."]


@pytest.mark.parametrize("status", [202, 200, 400])
def test_the_start_of_an_active_batch_job(open_odd, status):
    api = open_odd(Answers(start_active=status))
    batch_job_id = api.create()
    assert [api.start(batch_job_id).status_code for _ in range(2)] == [202, status]


@pytest.mark.parametrize(("status", "after"), [(204, "canceled"), (405, "running"), (501, "running")])
def test_a_cancel(open_odd, clock, status, after):
    api = open_odd(Answers(cancel=status))
    batch_job_id = api.create()
    api.start(batch_job_id)
    clock.advance(60)
    assert api("DELETE", f"/jobs/{batch_job_id}/results").status_code == status
    assert api.get_status(batch_job_id) == after


@pytest.mark.parametrize(("status", "is_there"), [(204, False), (200, False), (202, True), (405, True)])
def test_a_delete(open_odd, status, is_there):
    api = open_odd(Answers(delete=status))
    batch_job_id = api.create()
    assert api("DELETE", f"/jobs/{batch_job_id}").status_code == status
    assert (api("GET", f"/jobs/{batch_job_id}").status_code == 200) is is_there


@pytest.mark.parametrize("status", [424, 400, 500])
def test_the_results_of_a_failed_batch_job(open_odd, clock, status):
    api = open_odd(Answers(failed_results=status), failures=Failures(out_of_memory=1))
    batch_job_id = api.create()
    api.start(batch_job_id)
    clock.advance(1000)
    assert api("GET", f"/jobs/{batch_job_id}/results").status_code == status


@pytest.mark.parametrize("status", [200, 400])
def test_a_failed_batch_job_itself(open_odd, clock, status):
    api = open_odd(Answers(failed_job=status), failures=Failures(out_of_memory=1))
    batch_job_id = api.create()
    assert api("GET", f"/jobs/{batch_job_id}").status_code == 200
    api.start(batch_job_id)
    clock.advance(1000)
    assert api("GET", f"/jobs/{batch_job_id}").status_code == status
    assert api("GET", "/jobs").json()["jobs"][0]["status"] == "error"


@pytest.mark.parametrize("status", [400, 200, 500])
def test_results_before_the_end(open_odd, status):
    api = open_odd(Answers(early_results=status))
    batch_job_id = api.create()
    api.start(batch_job_id)
    answer = api("GET", f"/jobs/{batch_job_id}/results")
    assert answer.status_code == status
    assert status != 200 or answer.json()["assets"] == {}


@pytest.mark.parametrize("status", [404, 422, 500])
def test_an_unknown_batch_job(open_odd, status):
    answer = open_odd(Answers(unknown_job=status))("GET", "/jobs/nobody")
    assert answer.status_code == status
    assert (answer.json()["code"] == "JobNotFound") is (status == 404)


@pytest.mark.parametrize("status", [200, 404])
def test_logs_before_the_start(open_odd, status):
    api = open_odd(Answers(early_logs=status))
    batch_job_id = api.create()
    assert api("GET", f"/jobs/{batch_job_id}/logs").status_code == status
    api.start(batch_job_id)
    assert api("GET", f"/jobs/{batch_job_id}/logs").status_code == 200


@pytest.mark.parametrize("status", [400, 429])
def test_a_start_beyond_the_limit(open_odd, status):
    api = open_odd(Answers(start_beyond=status), concurrent_jobs=1)
    first, second = api.create("a"), api.create("b")
    api.start(first)
    answer = api.start(second)
    assert (answer.status_code, answer.json()["code"]) == (status, "ConcurrentJobLimit")
