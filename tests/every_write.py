"""Every write of a run about one of its rows, and how to see that none of them is done for a stale owner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from openeo_jobs.assets import Asset, Fetched
from openeo_jobs.jobs import ErrorClass, Failure, Job, ResultsStatus
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.cancellations import StopAnswer
from openeo_jobs.storage.progress import Step
from openeo_jobs.storage.store import JobStore

Write = Callable[[JobStore, Job, datetime], object]


def _failure(at: datetime) -> Failure:
    return Failure(error_class=ErrorClass.PERMANENT, message="stale", at=at, key="stale")


def _where(each: Job) -> dict[str, str]:
    return {"backend_name": str(each.backend_name), "batch_job_id": each.batch_job_id or "stale"}


def _number(each: Job) -> int:
    """Return the number of a line of `batch_job`: that of the row's, if it has one."""
    assert each.attempt is not None
    return each.attempt.batch_job.id if each.attempt.batch_job else 1


WRITES: dict[str, Write] = {
    "record_intent": lambda it, each, at: it.creations.record_intent(
        each, backend_name=str(each.backend_name), fingerprint="f", tag="stale", at=at
    ),
    "record_start_sent": lambda it, each, at: it.creations.record_start_sent(each, **_where(each), at=at),
    "choose": lambda it, each, at: it.creations.choose(each, **_where(each), at=at),
    "adopt": lambda it, each, at: it.creations.adopt(each, _number(each), at=at, reason="stale"),
    "skip": lambda it, each, at: it.creations.skip(each, at=at),
    "fail": lambda it, each, at: it.creations.fail(each, _failure(at), at=at),
    "release": lambda it, each, at: it.creations.release(each, at=at, reason="stale"),
    "ask_person": lambda it, each, at: it.creations.ask_person(each, reason="stale", at=at),
    "record_found": lambda it, each, at: it.creations.record_found(each, _number(each), "stale"),
    "record_copy": lambda it, each, at: it.creations.record_copy(each, **_where(each), at=at),
    "record_absent": lambda it, each, at: it.creations.record_absent(each, _number(each), at=at),
    "record_not_created": lambda it, each, at: it.creations.record_not_created(each, _number(each)),
    "request_overdue": lambda it, each, at: it.cancellations.request_overdue(each, at=at),
    "record a stop": lambda it, each, at: it.cancellations.record([StopAnswer(job=each, again_at=at)]),
    "record_not_found": lambda it, each, at: it.progress.record_not_found([each], at=at),
    "record_lost": lambda it, each, at: it.progress.record_lost(each, at=at),
    "record_failure": lambda it, each, at: it.endings.record_failure(each, _failure(at)),
    "record_downloading": lambda it, each, at: it.endings.record_downloading(each),
    "record_download_failed": lambda it, each, at: it.endings.record_download_failed(
        each, message="stale", tries=1, again_at=at
    ),
    "record_plan": lambda it, each, at: it.assets.record_plan(each, [Asset(name="a", path=Path("/a"))]),
    "record_part": lambda it, each, at: it.assets.record_part(each, 1, None, size=7),
    "record_fetched": lambda it, each, at: it.assets.record_fetched(
        each, {1: Fetched(size=7, checksum="stale")}, {}, at=at
    ),
    "record_settled": lambda it, each, at: it.assets.record_settled(each, ResultsStatus.DOWNLOADED),
    "record_downloaded": lambda it, each, at: it.assets.record_downloaded(each, [], at=at),
    "record_returned": lambda it, each, at: it.hooks.record_returned(each, at=at),
    "record_raised": lambda it, each, at: it.hooks.record_raised(
        each, message="stale", tries=1, again_at=at, runner_id=1
    ),
}
"""By name. Not here: `record_outcome`, which tells of a request whoever acts on its row now."""

WRITES_OF_CHOSEN: dict[str, Write] = {
    "begin_start": lambda it, each, at: it.progress.begin_start(each, at=at),
    "refuse_start": lambda it, each, at: it.progress.refuse_start(each, at=at, reason="stale"),
} | {
    f"record {word}": lambda it, each, at, word=word: it.progress.record(
        [Step(job=each, status=word, word=word, costs=7.0)], at=at
    )
    for word in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.FINISHED, JobStatus.ERROR)
}
"""By name: those about the batch job that the attempt of a row has chosen."""

_ATTEMPTS = "(SELECT id FROM attempt WHERE job_id = :row)"
_OF_ROW = (
    "SELECT * FROM job WHERE id = :row",
    "SELECT * FROM attempt WHERE job_id = :row ORDER BY id",
    f"SELECT * FROM batch_job WHERE attempt_id IN {_ATTEMPTS} ORDER BY id",
    f"SELECT * FROM asset WHERE attempt_id IN {_ATTEMPTS} ORDER BY id",
    "SELECT * FROM status_change WHERE job_id = :row ORDER BY id",
)


def writes_for(each: Job) -> dict[str, Write]:
    """Return those that make sense for a row as its owner knows it."""
    if each.attempt is None:
        return {}
    return WRITES | (WRITES_OF_CHOSEN if each.attempt.batch_job is not None else {})


def read_row(connection: sa.Connection, number: int) -> list[Any]:
    """Return everything that the database knows of a row."""
    return [connection.execute(sa.text(select), {"row": number}).all() for select in _OF_ROW]
