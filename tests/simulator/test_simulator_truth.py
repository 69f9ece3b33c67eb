"""What the simulator tells of what really happened."""

from openeo_jobs.simulator import LoggedRequest


def test_batch_jobs_are_grouped_by_the_row_in_their_tags(api, backend):
    first = api.create("NDVI [oj-1a2b3c-4f-x9k2q]")
    second = api.create("NDVI [oj-1a2b3c-4f-aaaaa]")
    api.create("NDVI [oj-1a2b3c-50-bbbbb]")
    api.create("without a tag")
    api.start(second)
    truth = backend.truth()
    rows = {row: [job.id for job in jobs] for row, jobs in truth.batch_jobs_per_row.items()}
    assert rows[int("4f", 36)] == [first, second]
    assert list(rows) == [159, 180, "without a tag"]
    assert truth.executions_per_row == {159: 1, 180: 0, "without a tag": 0}
    assert truth.batch_jobs[0].campaign == "1a2b3c"


def test_deleted_batch_jobs_stay_in_the_truth(api, backend):
    batch_job_id = api.create()
    api("DELETE", f"/jobs/{batch_job_id}")
    (job,) = backend.truth().batch_jobs
    assert job.id == batch_job_id
    assert job.deleted_at is not None


def test_the_peak_counts_what_was_active_at_the_same_instant(api, backend, clock):
    ids = [api.create(f"row {row}") for row in range(5)]
    for batch_job_id in ids[:2]:
        api.start(batch_job_id)
    clock.advance(110)
    for batch_job_id in ids[2:]:
        api.start(batch_job_id)
    clock.advance(1)
    api("DELETE", f"/jobs/{ids[4]}/results")
    assert backend.truth().peak_parallel == 3


def test_one_that_ends_when_another_starts_is_not_parallel_to_it(api, backend, clock):
    first, second = api.create("first"), api.create("second")
    api.start(first)
    clock.advance(110)
    api.start(second)
    assert backend.truth().peak_parallel == 1


def test_every_request_is_logged(api, backend, clock):
    batch_job_id = api.create("a title")
    api("GET", f"/jobs/{batch_job_id}/logs?limit=5")
    api("GET", "/nowhere")
    login, creation, logs, nowhere = backend.requests()
    assert login.path == "/credentials/basic"
    assert creation == LoggedRequest(
        at=clock.now,
        method="POST",
        path="/jobs",
        query="",
        status=201,
        batch_job_id=batch_job_id,
        title="a title",
        user="user",
    )
    assert (logs.query, logs.batch_job_id, logs.title) == ("limit=5", batch_job_id, None)
    assert (nowhere.status, nowhere.batch_job_id, nowhere.user) == (404, None, None)


def test_logged_requests_can_be_asked_for_by_method_and_path(api, backend):
    ids = [api.create(f"row {row}") for row in range(3)]
    api.start(ids[0])
    assert len(backend.requests("POST")) == 4
    assert [request.batch_job_id for request in backend.requests("POST", "^/jobs$")] == ids
    assert len(backend.requests(path="/results$")) == 1


def test_truth_and_log_can_be_read_after_the_end(api, backend):
    batch_job_id = api.create()
    backend.stop()
    assert batch_job_id in backend.truth().executions
    assert backend.requests("POST")[0].batch_job_id == batch_job_id
