"""What a backend shows of its batch jobs: late, in part, or not any more."""

import pytest

from openeo_jobs.simulator import Deviations, Failures, Federation, Lags, Listing

TITLES = [f"NDVI row {row}" for row in range(12)]


def _list(api, query=""):
    document = api("GET", f"/jobs{query}").json()
    return [entry["id"] for entry in document["jobs"]], document


def test_a_new_batch_job_is_listed_late(open_backend, open_api, clock):
    api = open_api(open_backend(deviations=Deviations(lags=Lags(listing_seconds=5))))
    batch_job_id = api.create()
    assert _list(api)[0] == []
    assert api.get_status(batch_job_id) == "created"
    clock.advance(5)
    assert _list(api)[0] == [batch_job_id]


def test_a_new_batch_job_is_unknown_at_first(open_backend, open_api, clock):
    backend = open_backend(deviations=Deviations(lags=Lags(job_seconds=5)))
    api = open_api(backend)
    batch_job_id = api.create()
    assert api("GET", f"/jobs/{batch_job_id}").json()["code"] == "JobNotFound"
    assert api.start(batch_job_id).status_code == 404
    assert _list(api)[0] == [batch_job_id]
    clock.advance(5)
    assert api.start(batch_job_id).status_code == 202


def test_a_status_is_told_late(open_backend, open_api, clock):
    backend = open_backend(deviations=Deviations(lags=Lags(status_seconds=5)))
    api = open_api(backend)
    batch_job_id = api.create()
    clock.advance(60)
    api.start(batch_job_id)
    told, true = [], []
    for seconds in (0, 5, 5, 5, 95, 5):
        clock.advance(seconds)
        told.append(api.get_status(batch_job_id))
        true.append(backend.truth().batch_jobs[0].status)
    assert true == ["queued", "queued", "running", "running", "finished", "finished"]
    assert told == ["created", "queued", "queued", "running", "running", "finished"]


def test_a_stop_is_told_late(open_backend, open_api, clock):
    api = open_api(open_backend(deviations=Deviations(lags=Lags(status_seconds=5))))
    batch_job_id = api.create()
    api.start(batch_job_id)
    clock.advance(50)
    api("DELETE", f"/jobs/{batch_job_id}/results")
    assert api.get_status(batch_job_id) == "running"
    clock.advance(5)
    assert api.get_status(batch_job_id) == "canceled"


@pytest.mark.parametrize("query", ["", "?limit=10", "?limit=2"])
def test_a_capped_listing_hides_the_rest_without_a_link(open_backend, open_api, query):
    api = open_api(open_backend(deviations=Deviations(listing=Listing(cap=3))))
    created = [api.create(title) for title in TITLES]
    ids, document = _list(api, query)
    assert ids == created[: 2 if "2" in query else 3]
    assert document["links"] == []


def test_a_limit_can_be_ignored(open_backend, open_api):
    api = open_api(open_backend(deviations=Deviations(listing=Listing(ignores_limit=True))))
    created = [api.create(title) for title in TITLES]
    ids, document = _list(api, "?limit=2")
    assert (ids, document["links"]) == (created, [])


def test_the_entries_of_a_listing_have_few_fields_or_all(open_backend, open_api):
    entries = {}
    for fields in ("few", "all"):
        api = open_api(open_backend(deviations=Deviations(listing=Listing(fields=fields))))
        api.create()
        entries[fields] = _list(api)[1]["jobs"][0]
    assert set(entries["few"]) == {"id", "title", "status", "created"}
    assert "process_graph" in entries["all"]["process"]


def test_a_member_that_is_away_takes_its_batch_jobs_with_it(open_backend, open_api, clock):
    federation = Federation(member_share=0.5, away=(10, 5))
    api = open_api(backend := open_backend(deviations=Deviations(federation=federation)))
    created = [api.create(title) for title in TITLES]
    assert "federation:missing" not in _list(api)[1]
    clock.advance(10)
    created.append(api.create("NDVI row of the others"))
    ids, document = _list(api)
    assert document["federation:missing"]
    assert 0 < len(ids) < len(created)
    assert created[-1] in ids
    found = [one for one in created if api("GET", f"/jobs/{one}").status_code == 200]
    assert found == ids
    clock.advance(5)
    assert _list(api)[0] == created
    assert len(backend.truth().batch_jobs) == len(created)


def _run(open_api, backend, clock):
    """Start a batch job for each title; return the client and their ids by title."""
    api = open_api(backend)
    ids = {title: api.create(title) for title in TITLES}
    for batch_job_id in ids.values():
        api.start(batch_job_id)
    return api, ids


def test_batch_jobs_vanish_for_good_and_the_truth_knows_when(open_backend, open_api, clock):
    backend = open_backend(seed=1, failures=Failures(vanished=0.5))
    api, ids = _run(open_api, backend, clock)
    clock.advance(59)
    assert _list(api)[0] == list(ids.values())
    clock.advance(1)
    left = _list(api)[0]
    vanished = [one for one in ids.values() if api("GET", f"/jobs/{one}").status_code == 404]
    assert left
    assert vanished
    assert sorted(left + vanished) == sorted(ids.values())
    backend.stop()
    backend.start()
    assert _list(api)[0] == left
    known = {one.id: one.vanishes_at for one in backend.truth().batch_jobs}
    assert {one for one, at in known.items() if at == clock.now} == set(vanished)


def test_some_batch_jobs_run_until_they_are_stopped(open_backend, open_api, clock):
    api, ids = _run(open_api, open_backend(seed=1, failures=Failures(endless=0.3)), clock)
    clock.advance(1_000_000)
    endless = [one for one in ids.values() if api.get_status(one) == "running"]
    assert 0 < len(endless) < len(ids)
    api("DELETE", f"/jobs/{endless[0]}/results")
    assert api.get_status(endless[0]) == "canceled"


@pytest.mark.parametrize(
    ("failures", "told", "true"),
    [
        (Failures(corrected=1), "canceled", "finished"),
        (Failures(corrected=1, stage_failure=1), "finished", "error"),
    ],
)
def test_the_end_of_a_batch_job_is_corrected_later(open_backend, open_api, clock, failures, told, true):
    backend = open_backend(failures=failures)
    api, ids = _run(open_api, backend, clock)
    clock.advance(110)
    assert {api.get_status(one) for one in ids.values()} == {told}
    assert {one.status for one in backend.truth().batch_jobs} == {true}
    clock.advance(0.25)
    assert {api.get_status(one) for one in ids.values()} == {true}


def test_costs_and_usage_are_told_late(open_backend, open_api, clock):
    backend = open_backend(deviations=Deviations(lags=Lags(costs_seconds=30)))
    api = open_api(backend)
    batch_job_id = api.create()
    api.start(batch_job_id)
    clock.advance(110)
    told = api.get(batch_job_id)
    assert (told["status"], told["costs"], told["usage"]) == ("finished", None, None)
    assert _list(api)[1]["jobs"][0]["costs"] is None
    clock.advance(30)
    told = api.get(batch_job_id)
    assert (told["costs"], told["usage"]["cpu"]) == (100, {"value": 400, "unit": "cpu-seconds"})
    assert backend.truth().batch_jobs[0].costs == 100
