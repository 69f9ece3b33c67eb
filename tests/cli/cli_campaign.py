"""A campaign of ten rows as somebody finds it in the morning: every kind of row, made without a backend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from openeo_jobs.assets import Asset
from openeo_jobs.frames import encode_table
from openeo_jobs.jobs import Backend, ErrorClass, Job, ResultsStatus
from openeo_jobs.policy.failures import make_failure, make_remote_failure
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.storage.store import JobStore, open_store_for_run
from openeo_jobs.tracking.runner import describe_runner

NOW = datetime.now(UTC) - timedelta(minutes=5)
MEMORY = "Your batch job failed because workers used too much Python memory."
STATUSES = {"start_failed": 2, "error": 3, "finished": 2, "running": 1, "submitting": 1, "not_started": 1}


def make_campaign(path: Path) -> None:
    """Make the campaign at *path*, its CSV beside it; this process runs it."""
    with open_store_for_run(path, is_dead=lambda _: True) as store:
        frame = pd.DataFrame({"tile": [f"T{i}" for i in range(10)]})
        store.campaigns.begin(encode_table(frame), uid="abcdef123456", at=NOW)
        runner_id = store.runners.begin(describe_runner(at=NOW), is_dead=lambda _: True, at=NOW)
        store.runners.record_round(runner_id, at=NOW)
        store.runners.beat(runner_id, at=NOW + timedelta(days=1))  # it lives as long as the tests
        store.backends.register([Backend(name=name, parallel_jobs=10) for name in ("north", "south")])
        for name, currency in (("north", "credits"), ("south", "EUR")):
            store.backends.record_facts(name, url=f"https://{name}.test", currency=currency)
        _live(store, runner_id)
    path.with_suffix(".csv").write_text("tile\n")


def _live(store: JobStore, runner_id: int) -> None:
    for word in ("west", "west"):
        failure = make_failure(KeyError(word), at=NOW)
        store.creations.fail(_claim(store, runner_id), failure, at=NOW)
    for name in ("north", "south", "south"):
        job = _end(store, _claim(store, runner_id, name), JobStatus.ERROR)
        store.endings.record_failure(job, make_remote_failure(MEMORY, at=NOW))
    job = _end(store, _claim(store, runner_id), JobStatus.FINISHED)
    store.assets.record_downloaded(job, [Asset(name="a.tif", path=Path("a.tif"), size=2_000)], at=NOW)
    store.hooks.record_returned(job, at=NOW)
    job = _end(store, _claim(store, runner_id), JobStatus.FINISHED)
    store.endings.record_download_failed(job, message="cut short", tries=1, again_at=None)
    _end(store, _claim(store, runner_id), JobStatus.RUNNING)
    store.creations.ask_person(_claim(store, runner_id), reason="two batch jobs have its tag", at=NOW)
    reason = "[503] InfrastructureMaintenance: back at noon"
    later = NOW + timedelta(hours=1)
    store.backends.pause("south", kind=ErrorClass.TRANSIENT, reason=reason, at=NOW, retry_at=later)


def _claim(store: JobStore, runner_id: int, name: str = "north") -> Job:
    [job] = store.claims.claim(runner_id=runner_id, caps={name: 10}, at=NOW, limit=1)
    return job


def _end(store: JobStore, job: Job, status: JobStatus) -> Job:
    """Bring *job* to *status*."""
    name = str(job.backend_name)
    job = store.creations.choose(job, backend_name=name, batch_job_id=f"{name}-{job.number}", at=NOW)
    words = [JobStatus.QUEUED, JobStatus.RUNNING, *([status] if status is not JobStatus.RUNNING else [])]
    for word in words:
        results = ResultsStatus.PENDING if word is JobStatus.FINISHED else None
        usage = {"duration": {"value": 90.0, "unit": "seconds"}}
        step = Step(job=job, status=word, word=word, costs=1.5, usage=usage, results_status=results)
        assert store.progress.record([step], at=NOW) == []
        job = next(one for one in store.jobs.all() if one.number == job.number)
    return job
