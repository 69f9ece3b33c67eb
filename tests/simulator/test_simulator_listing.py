"""The list of batch jobs, whole and by pages."""

import pytest


def test_without_a_limit_all_batch_jobs_are_listed(api):
    created = [api.create(f"row {row}") for row in range(120)]
    listing = api("GET", "/jobs").json()
    assert [job["id"] for job in listing["jobs"]] == created
    assert listing["links"] == []


@pytest.mark.parametrize("total", [0, 1, 3, 4, 6, 7])
def test_the_next_links_lead_through_all_pages(api, total):
    created = [api.create(f"row {row}") for row in range(total)]
    listed, path = [], "/jobs?limit=3"
    while path:
        page = api("GET", path).json()
        assert len(page["jobs"]) <= 3
        listed += [job["id"] for job in page["jobs"]]
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert listed == created


def test_a_deletion_between_two_pages_hides_no_other_batch_job(api):
    created = [api.create(f"row {row}") for row in range(4)]
    page = api("GET", "/jobs?limit=2").json()
    api("DELETE", f"/jobs/{created[0]}")
    rest = api("GET", page["links"][0]["href"]).json()
    assert [job["id"] for job in rest["jobs"]] == created[2:]


def test_the_list_leaves_the_process_out(api):
    batch_job_id = api.create("a title")
    (entry,) = api("GET", "/jobs").json()["jobs"]
    assert "process" not in entry
    assert (entry["id"], entry["title"], entry["status"]) == (batch_job_id, "a title", "created")
    assert entry["created"] == "2024-05-01T12:00:00.000Z"


def test_users_see_only_their_own_batch_jobs(api, backend, open_api):
    batch_job_id = api.create()
    other = open_api(backend, "somebody else")
    assert other("GET", "/jobs").json()["jobs"] == []
    assert other("GET", f"/jobs/{batch_job_id}").status_code == 404


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_that_makes_no_sense_is_refused(api, limit):
    assert api("GET", f"/jobs?limit={limit}").status_code == 400
