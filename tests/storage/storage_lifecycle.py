"""A campaign that goes through every public method of the store."""

from __future__ import annotations

from pathlib import Path

from storage_tools import (
    FAILURE,
    NOW,
    campaign_at,
    claim_one,
    create_one,
    make_runner,
    make_tiles,
    reload,
    seconds,
)
from storage_tools import is_dead as everybody_is_dead

from openeo_jobs.assets import Asset
from openeo_jobs.jobs import ErrorClass, Job, Outcome, ResultsStatus
from openeo_jobs.status import ENDED, JobStatus
from openeo_jobs.storage.cancellations import StopAnswer
from openeo_jobs.storage.progress import Step
from openeo_jobs.storage.store import JobStore


def finish_one(
    store: JobStore,
    runner_id: int,
    batch_job_id: str,
    *,
    status: JobStatus = JobStatus.FINISHED,
    results_status: ResultsStatus = ResultsStatus.PENDING,
) -> Job:
    """Bring a row to its end, the way of the loop."""
    job = store.progress.begin_start(create_one(store, runner_id, batch_job_id), at=NOW)
    for word in (JobStatus.QUEUED, JobStatus.RUNNING, status):
        step = Step(
            job=job,
            status=word,
            word=word,
            costs=1.5,
            usage={"cpu": {"value": 3, "unit": "cpu-seconds"}},
            results_status=results_status if word in ENDED else None,
        )
        assert store.progress.record([step], at=seconds(60)) == []
        job = reload(store, job)
    return job


def live_a_whole_life(path: Path) -> None:
    """Call every public method of the store at least once."""
    with campaign_at(path, make_tiles(14)) as store:
        runner_id = store.runners.begin(make_runner(), is_dead=everybody_is_dead, at=NOW)
        _register(store)
        _submit(store, runner_id)
        _run_and_fetch(store, runner_id)
        store.runners.begin(make_runner(), is_dead=everybody_is_dead, at=NOW)
        _ask(store, runner_id)
        store.runners.end(runner_id, at=NOW)


def _register(store: JobStore) -> None:
    store.backends.record_facts("north", url="https://north.test", currency="credits")
    store.backends.record_titles("north", keeps_titles=True)
    store.backends.pause("south", kind=ErrorClass.AUTH, reason="401", at=NOW, retry_at=seconds(60))
    store.backends.resume(store.backends.one("south"))
    store.backends.all()
    store.campaigns.announce_mirror("jobs.csv", "h1", 1)
    store.campaigns.publish_mirror("jobs.csv", "h1", 1, lambda known: None)
    store.campaigns.compare_mirror("jobs.csv", lambda: "h1")
    store.campaigns.load()


def _submit(store: JobStore, runner_id: int) -> None:
    creations = store.creations
    creations.skip(claim_one(store, runner_id), at=NOW)
    creations.fail(claim_one(store, runner_id), FAILURE, at=NOW)
    later = seconds(60)
    creations.release(claim_one(store, runner_id), at=NOW, reason="429", failure=FAILURE, not_before=later)
    job = claim_one(store, runner_id, "south")
    creations.ask_person(job, reason="no title", at=NOW)
    job = claim_one(store, runner_id)
    number = creations.record_intent(job, backend_name="north", fingerprint="f", tag="t1", at=NOW)
    creations.record_absent(job, number, at=NOW)
    creations.record_not_created(job, number)
    number = creations.record_intent(job, backend_name="north", fingerprint="f", tag="t2", at=NOW)
    creations.record_outcome(number, outcome=Outcome.UNKNOWN, batch_job_id=None, at=NOW)
    creations.unresolved(runner_id)
    creations.record_found(job, number, "found-1")
    creations.record_copy(job, backend_name="north", batch_job_id="copy-1", at=NOW)
    creations.record_start_sent(job, backend_name="north", batch_job_id="own-1", at=NOW)
    creations.adopt(job, number, at=NOW, reason="adopted")


def _run_and_fetch(store: JobStore, runner_id: int) -> None:
    refused = store.progress.begin_start(create_one(store, runner_id, "j-refused"), at=NOW)
    store.progress.refuse_start(refused, at=NOW, reason="429")
    lost = create_one(store, runner_id, "j-lost")
    store.progress.record_not_found([lost], at=NOW)
    store.progress.record_lost(reload(store, lost), at=NOW)
    _cancel(store, runner_id)
    done = finish_one(store, runner_id, "j-done")
    store.endings.record_downloading(done)
    asset = Asset(name="a.tif", path=Path("a.tif"), size=3)
    store.assets.record_downloaded(done, [asset], at=NOW)
    store.hooks.record_returned(done, at=NOW)
    store.assets.downloaded(runner_id)
    store.complete.count()
    list(store.complete.all())
    store.complete.one(done.number)
    store.assets.record_missing([done])
    partial = finish_one(store, runner_id, "j-partial")
    store.endings.record_download_failed(partial, message="reset", tries=1, again_at=seconds(60))
    store.hooks.load(partial)
    store.hooks.record_raised(partial, message="boom", tries=3, again_at=None, runner_id=runner_id)
    store.hooks.retry(store.hooks.failed())
    failed = finish_one(store, runner_id, "j-failed", status=JobStatus.ERROR)
    store.endings.record_failure(failed, FAILURE)
    store.endings.open(runner_id)
    store.retries.retry([reload(store, failed)], reason="mended", at=NOW)
    _remove(store)


def _remove(store: JobStore) -> None:
    first = store.removals.all()[0]
    assert store.removals.one(first.id) == first
    attempts = [use.attempt_id for use in first.uses if use.attempt_id is not None]
    store.costs.record_last(attempts, 1.0, {})
    store.removals.record_deleted(first.id, at=NOW)


def _cancel(store: JobStore, runner_id: int) -> None:
    canceled = create_one(store, runner_id, "j-canceled")
    store.cancellations.request_overdue(canceled, at=NOW)
    store.cancellations.request([canceled.number], reason="by me", at=NOW)
    store.cancellations.due(["north"], runner_id=runner_id, at=NOW)
    store.cancellations.record([StopAnswer(job=canceled, again_at=seconds(60), error="405")])
    store.cancellations.settle(at=NOW)


def _ask(store: JobStore, runner_id: int) -> None:
    store.runners.beat(runner_id, at=NOW)
    latest = store.runners.latest()
    assert latest is not None and latest.id is not None
    store.runners.record_round(latest.id, at=NOW)
    store.jobs.all()
    store.selections.find(rows=[1], statuses=["running"], where="tile = 'T1'")
    store.jobs.of_status(ENDED)
    store.jobs.polled(["north"], runner_id=runner_id)
    store.jobs.count_by_status()
    store.jobs.work_left(["north"], runner_id=runner_id)
    store.jobs.history(1)
    store.jobs.change_mark()
    store.costs.due(["north"], runner_id=runner_id, at=NOW, limit=1)
    store.reports.overview()
    store.reports.failures()
