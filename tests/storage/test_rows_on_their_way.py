"""What each public method of the store leaves behind, as values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from storage_lifecycle import finish_one
from storage_tools import (
    FAILURE,
    NOW,
    begin_runner,
    campaign_at,
    claim_one,
    create_one,
    force_status,
    is_alive,
    make_new_job,
    make_runner,
    reload,
    run_sql,
    seconds,
)

from openeo_jobs.assets import Asset, AssetState
from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Backend, Column, ErrorClass, Job, Mirrored, Outcome, ResultsStatus
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.storage.store import JobStore, open_store


def test_a_campaign_comes_back_as_it_was_stored(path: Path) -> None:
    jobs = [make_new_job("T0", 1.5), make_new_job("T1", None, pinned_backend="south", priority=2.0)]
    with campaign_at(path, jobs, columns=["tile", "depth"]) as store:
        begun = store.campaigns.load()
    with open_store(path) as store:
        campaign, rows = store.campaigns.load(), store.jobs.all()

    assert campaign == begun
    assert campaign is not None
    assert campaign.columns == (Column(name="tile", dtype="str"), Column(name="depth", dtype="str"))
    assert (campaign.uid, campaign.created_at, campaign.mirrors) == ("c0ffee123456", NOW, {})
    assert [(row.params, row.pinned_backend, row.priority) for row in rows] == [
        ('["T0", 1.5]', None, 0.0),
        ('["T1", null]', "south", 2.0),
    ]


def test_a_database_without_a_campaign_says_so(path: Path) -> None:
    with campaign_at(path, []):
        pass
    run_sql(path, "DELETE FROM campaign")
    with open_store(path) as store:
        assert store.campaigns.load() is None
        assert store.reports.overview() is None


def test_the_latest_contents_of_every_mirror_are_known(store: JobStore) -> None:
    for number in range(20):
        assert store.campaigns.announce_mirror("a.csv", str(number), number)
    store.campaigns.note_mirror("a.csv", "18", 18)
    store.campaigns.note_mirror("b.csv", "1", 7)

    campaign = store.campaigns.load()
    assert campaign is not None
    assert [one.content_hash for one in campaign.mirrors["a.csv"]] == [*map(str, range(4, 18)), "19", "18"]
    assert campaign.mirrors["a.csv"][-1] == Mirrored(content_hash="18", mark=18, is_there=True)
    assert campaign.mirrors["b.csv"] == (Mirrored(content_hash="1", mark=7, is_there=True),)


def test_a_time_that_plain_sql_wrote_without_a_zone_is_utc(store: JobStore, path: Path) -> None:
    run_sql(path, "UPDATE job SET not_before = '2024-01-31 12:00:00' WHERE id = 1")

    job = store.jobs.one(1)
    assert job is not None
    assert job.not_before == NOW


def test_a_backend_keeps_its_facts_when_its_cap_changes(store: JobStore) -> None:
    store.backends.record_titles("north", keeps_titles=True)
    store.backends.register([Backend(name="north", parallel_jobs=7), Backend(name="west")])

    assert [(b.name, b.parallel_jobs, b.keeps_titles) for b in store.backends.all()] == [
        ("north", 7, True),
        ("south", 2, None),
        ("west", 2, None),
    ]


def test_a_pause_that_is_prolonged_began_when_it_began(store: JobStore) -> None:
    first = store.backends.pause("north", kind=ErrorClass.AUTH, reason="401", at=NOW, retry_at=seconds(9))
    again = store.backends.pause(
        "north", kind=ErrorClass.TRANSIENT, reason="503", at=seconds(9), retry_at=seconds(20)
    )

    north = store.backends.all()[0]
    assert (first, again) == (True, False)
    assert (north.paused_since, north.retry_at, north.paused_reason) == (NOW, seconds(20), "503")


def test_a_pause_ends(store: JobStore) -> None:
    store.backends.pause("north", kind=ErrorClass.AUTH, reason="401", at=NOW, retry_at=seconds(9))
    store.backends.resume(store.backends.one("north"))

    assert store.backends.all()[0] == Backend(name="north", failures_in_a_row=1)
    store.backends.forget_failures("north")
    assert store.backends.all()[0] == Backend(name="north")


def test_what_a_callback_created_is_created(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")

    assert (job.status, job.batch_job_id) == (JobStatus.CREATED, "j-1")
    assert job.attempt is not None and job.attempt.start_time == NOW


def test_what_a_callback_created_and_started_is_queued_for_start(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    number = store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="t", at=NOW)
    store.creations.record_outcome(number, outcome=Outcome.CREATED, batch_job_id="j-1", at=NOW)
    store.creations.record_start_sent(job, backend_name="north", batch_job_id="j-1", at=NOW)

    job = store.creations.choose(job, backend_name="north", batch_job_id="j-1", at=NOW)
    assert job.status is JobStatus.QUEUED_FOR_START


def test_a_batch_job_that_came_from_elsewhere_is_to_be_asked_about(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    job = store.creations.choose(job, backend_name="south", batch_job_id="j-old", at=NOW)

    assert (job.status, job.backend_name, job.batch_job_id) == (JobStatus.SUBMITTING, "south", "j-old")
    assert [each.number for each in store.jobs.polled(["south"], runner_id=runner_id)] == [job.number]
    assert store.creations.unresolved(runner_id) == []


def test_rows_whose_callback_did_not_return_are_unresolved(store: JobStore, runner_id: int) -> None:
    first, second = claim_one(store, runner_id), claim_one(store, runner_id)
    third = claim_one(store, runner_id)
    store.creations.ask_person(third, reason="no title", at=NOW)
    number = store.creations.record_intent(second, backend_name="north", fingerprint="f", tag="t", at=NOW)

    unresolved = store.creations.unresolved(runner_id)
    assert [(job, [post.id for post in posts]) for job, posts in unresolved] == [
        (first, []),
        (second, [number]),
        (reload(store, third), []),
    ]


def test_an_adopted_row_no_longer_waits_for_a_person(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    number = store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="t", at=NOW)
    store.creations.ask_person(job, reason="no title", at=NOW)
    store.creations.record_found(job, number, "j-found")
    store.creations.adopt(reload(store, job), number, at=NOW, reason="by hand")

    job = reload(store, job)
    assert (job.status, job.batch_job_id, job.needs_person_since) == (JobStatus.CREATED, "j-found", None)


def test_a_failed_row_says_why(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    store.creations.fail(job, FAILURE, at=seconds(1))

    job = reload(store, job)
    assert job.status is JobStatus.START_FAILED
    assert job.attempt is not None
    assert (job.attempt.failure, job.attempt.ended_at) == (FAILURE, seconds(1))


def test_a_start_that_had_no_effect_may_be_asked_for_again(store: JobStore, runner_id: int) -> None:
    job = store.progress.begin_start(create_one(store, runner_id, "j-1"), at=NOW)
    step = Step(job=job, status=JobStatus.CREATED, word="created", may_start_again=True)
    store.progress.record([step], at=NOW)

    job = reload(store, job)
    assert job.status is JobStatus.CREATED
    assert job.attempt is not None and job.attempt.batch_job is not None
    assert job.attempt.batch_job.start_sent_at is None


def test_a_run_is_recorded_with_its_times_and_costs(store: JobStore, runner_id: int) -> None:
    store.backends.record_facts("north", url="https://north.test", currency="EUR")
    attempt = finish_one(store, runner_id, "j-1").attempt

    assert attempt is not None
    assert (attempt.running_start_time, attempt.ended_at) == (seconds(60), seconds(60))
    assert (attempt.costs, attempt.currency) == (1.5, "EUR")
    assert attempt.usage == {"cpu": {"value": 3, "unit": "cpu-seconds"}}
    assert attempt.backend_status == "finished"


def test_a_batch_job_that_is_found_again_was_not_lost(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")
    store.progress.record_not_found([job], at=NOW)
    store.progress.record_not_found([job], at=seconds(5))
    lost = reload(store, job).attempt
    store.progress.record(
        [Step(job=reload(store, job), status=JobStatus.RUNNING, word="running")], at=seconds(9)
    )

    found = reload(store, job).attempt
    assert lost is not None and found is not None
    assert (lost.not_found_since, lost.not_found_count) == (NOW, 2)
    assert (found.not_found_since, found.not_found_count) == (None, 0)


def test_results_are_open_until_they_are_here_and_the_hook_has_returned(
    store: JobStore, runner_id: int
) -> None:
    job = finish_one(store, runner_id, "j-1")
    opened = [find_unfetched(store, runner_id), store.endings.open(runner_id)]
    store.assets.record_downloaded(job, [Asset(name="a", path=Path("a"), size=1)], at=NOW)
    opened += [find_unfetched(store, runner_id), store.endings.open(runner_id)]
    store.hooks.record_returned(job, at=NOW)
    opened += [find_unfetched(store, runner_id), store.endings.open(runner_id)]

    assert [[each.number for each in jobs] for jobs in opened] == [[1], [], [], [1], [], []]


def test_of_the_results_that_wait_only_those_are_read_that_may_be_fetched_now(
    store: JobStore, runner_id: int
) -> None:
    jobs = [finish_one(store, runner_id, f"j-{number}") for number in range(1, 5)]
    store.endings.record_downloading(jobs[0])
    store.endings.record_download_failed(jobs[1], message="reset", tries=1, again_at=seconds(60))

    def numbers(**terms: Any) -> list[int]:
        return [each.number for each in find_unfetched(store, runner_id, **terms)]

    assert numbers() == [1, 3, 4]
    assert numbers(at=seconds(60)) == [1, 2, 3, 4]
    assert numbers(limit=2) == [1, 3]
    assert numbers(besides={1}, limit=2) == [3, 4]
    assert numbers(backend_names=["south"]) == []
    assert find_unfetched(store, runner_id + 1) == []


def find_unfetched(store: JobStore, runner_id: int, **terms: Any) -> list[Job]:
    usual = {"backend_names": ["north"], "at": NOW, "besides": set(), "limit": 9}
    return store.endings.unfetched(runner_id, **(usual | terms))


def test_a_failed_download_is_open_until_it_is_given_up(store: JobStore, runner_id: int) -> None:
    job = finish_one(store, runner_id, "j-1")
    store.endings.record_download_failed(job, message="reset", tries=1, again_at=seconds(99))
    again = reload(store, job)
    store.endings.record_download_failed(again, message="reset", tries=2, again_at=None)
    given_up = reload(store, job)

    assert (again.results_status, again.results_tries) == (ResultsStatus.PENDING, 1)
    assert (given_up.results_status, given_up.results_tries) == (ResultsStatus.FAILED, 2)
    assert not store.jobs.work_left(["north"], runner_id=runner_id).ending


def test_results_that_are_gone_are_fetched_again(store: JobStore, runner_id: int) -> None:
    job = finish_one(store, runner_id, "j-1")
    asset = Asset(
        name="a.tif", path=store.path.parent / "r/a.tif", size=3, media_type="image/tiff", checksum="1220ab"
    )
    store.assets.record_downloaded(job, [asset], at=NOW)

    ((found, assets),) = store.assets.downloaded(runner_id)
    store.assets.record_missing([found])
    [here] = assets
    assert here == replace(asset, id=here.id, state=AssetState.DOWNLOADED, downloaded_at=NOW)
    assert reload(store, job).results_status is ResultsStatus.PENDING


def test_results_of_a_row_that_was_tried_again_meanwhile_are_not_missed(
    store: JobStore, runner_id: int, path: Path
) -> None:
    asset = Asset(name="a.tif", path=store.path.parent / "r/a.tif", size=3)
    store.assets.record_downloaded(finish_one(store, runner_id, "j-1"), [asset], at=NOW)
    ((found, _),) = store.assets.downloaded(runner_id)
    run_sql(path, "UPDATE job SET status = 'not_started' WHERE id = 1")
    before = reload(store, found)
    store.assets.record_missing([found])
    assert reload(store, found) == before


def test_results_of_an_earlier_attempt_are_not_those_of_the_row(
    store: JobStore, runner_id: int, path: Path
) -> None:
    job = finish_one(store, runner_id, "j-1")
    run_sql(path, "UPDATE job SET status = 'not_started' WHERE id = 1")
    claim_one(store, runner_id)
    with pytest.raises(JobMovedError):
        store.assets.record_downloaded(job, [], at=NOW)

    assert reload(store, job).results_status is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE job SET user_status = NULL", (4, 1, 0)),
        ("UPDATE job SET needs_person_since = 'x' WHERE id = 1", (4, 0, 0)),
        ("UPDATE job SET user_status = 'parked' WHERE id < 3", (3, 0, 0)),
        ("UPDATE job SET pinned_backend = 'west' WHERE id > 1", (0, 1, 0)),
        ("UPDATE job SET pinned_backend = 'south' WHERE id > 1", (4, 1, 0)),
        ("UPDATE attempt SET backend_id = 2", (4, 1, 0)),
        ("UPDATE job SET status = 'finished', results_status = 'pending' WHERE id = 1", (4, 0, 1)),
        ("UPDATE job SET status = 'finished', results_status = 'failed' WHERE id = 1", (4, 0, 0)),
        ("UPDATE job SET status = 'error' WHERE id = 1", (4, 0, 1)),
        ("UPDATE job SET status = 'start_failed' WHERE id = 1", (4, 0, 0)),
        ("UPDATE job SET status = 'lost' WHERE id = 1", (4, 0, 0)),
    ],
)
def test_work_is_left_where_this_run_can_do_something(
    store: JobStore, runner_id: int, path: Path, change: str, expected: tuple[int, int, int]
) -> None:
    create_one(store, runner_id, "j-1")
    run_sql(path, change)

    left = store.jobs.work_left(["north", "south"], runner_id=runner_id)
    assert (left.waiting, left.active, left.ending) == expected
    assert bool(left) is any(expected)


def test_a_hook_that_has_failed_in_this_run_keeps_only_the_next_run_alive(
    store: JobStore, runner_id: int
) -> None:
    job = finish_one(store, runner_id, "j-1", results_status=ResultsStatus.NOT_WANTED)
    store.hooks.record_raised(job, message="boom", tries=3, again_at=None, runner_id=runner_id)

    assert store.jobs.work_left(["north"], runner_id=runner_id).ending == 0
    successor = begin_runner(store)
    assert store.jobs.work_left(["north"], runner_id=successor).ending == 1


def test_runs_do_not_wait_for_hooks_that_have_failed_in_each_other(store: JobStore, runner_id: int) -> None:
    other = store.runners.begin(make_runner(), is_dead=is_alive, at=NOW)
    for number, owner in enumerate((runner_id, other), start=1):
        job = finish_one(store, owner, f"j-{number}", results_status=ResultsStatus.NOT_WANTED)
        assert store.jobs.work_left(["north"], runner_id=runner_id).ending == 1
        store.hooks.record_raised(job, message="boom", tries=3, again_at=None, runner_id=owner)

    assert [store.jobs.work_left(["north"], runner_id=one).ending for one in (runner_id, other)] == [0, 0]


def test_rows_of_a_backend_that_is_not_registered_keep_no_run_alive(store: JobStore, runner_id: int) -> None:
    create_one(store, runner_id, "j-1")

    assert store.jobs.work_left(["south"], runner_id=runner_id).active == 0


def test_a_change_that_the_mirror_shows_changes_the_mark(store: JobStore, runner_id: int, path: Path) -> None:
    marks = [store.jobs.change_mark()]
    for change in (
        "UPDATE job SET status = 'canceled' WHERE id = 5",
        "UPDATE job SET user_status = 'parked' WHERE id = 4",
        "UPDATE job SET user_status = 'OOM' WHERE id = 4",
    ):
        run_sql(path, change)
        marks.append(store.jobs.change_mark())
    finish_one(store, runner_id, "j-1")
    marks.append(store.jobs.change_mark())
    run_sql(path, "UPDATE attempt SET costs = 99")
    marks.append(store.jobs.change_mark())

    assert len(set(marks)) == len(marks)


def test_a_heartbeat_does_not_change_the_mark(store: JobStore, runner_id: int) -> None:
    before = store.jobs.change_mark()
    store.runners.record_round(runner_id, at=seconds(9))

    assert store.jobs.change_mark() == before


@pytest.mark.parametrize("status", sorted(set(JobStatus) - {JobStatus.NOT_STARTED}))
def test_a_user_may_retry_what_is_over(
    store: JobStore, runner_id: int, path: Path, status: JobStatus
) -> None:
    job = create_one(store, runner_id, "j-1")
    force_status(path, 1, status)
    retried = store.retries.retry([reload(store, job)], reason="mended", at=NOW)

    is_over = status in ("finished", "error", "canceled", "skipped", "start_failed", "lost")
    assert retried == is_over
    assert reload(store, job).status == ("not_started" if is_over else status)


def test_a_user_may_retry_what_waits_for_a_person(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    store.creations.ask_person(job, reason="no title", at=NOW)
    waiting = reload(store, job)

    assert store.retries.retry([waiting], reason="mended", at=NOW) == 1
    assert (reload(store, job).status, reload(store, job).needs_person_since) == ("not_started", None)


def test_a_row_that_has_moved_meanwhile_is_not_retried(store: JobStore, runner_id: int, path: Path) -> None:
    job = create_one(store, runner_id, "j-1")
    force_status(path, 1, "error")
    failed = reload(store, job)
    force_status(path, 1, "running")

    assert store.retries.retry([failed], reason="mended", at=NOW) == 0


def test_a_group_of_failures_can_be_retried(store: JobStore, runner_id: int) -> None:
    for _ in range(3):
        store.creations.fail(claim_one(store, runner_id), FAILURE, at=NOW)
    [group] = store.reports.failures()

    assert (group.rows, group.error_class) == ((1, 2, 3), "permanent")
    failed = [job for job in store.jobs.all() if job.number in group.rows]
    assert store.retries.retry(failed, reason="mended", at=NOW) == 3
    assert store.jobs.history(2)[-1].actor == "user"
    assert store.jobs.history(2)[-1].reason == "mended"


def test_a_row_that_does_not_exist_is_none(store: JobStore) -> None:
    assert store.jobs.one(99) is None
