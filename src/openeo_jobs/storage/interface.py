"""What openEO's `JobDatabaseInterface` writes: any status, if the row has not moved since it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.policy.writing import Refusal, is_new_attempt, judge_written
from openeo_jobs.status import FINAL, Actor, JobStatus
from openeo_jobs.storage.arrivals import change_cells, count_edition, merge_rows
from openeo_jobs.storage.attempts import choose_tracked, insert_tracked_attempt, unexplained_failure
from openeo_jobs.storage.backends import ensure_backends
from openeo_jobs.storage.changes import change_status
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import attempt_of, columns_from, load
from openeo_jobs.storage.schema import attempt, campaign
from openeo_jobs.tables import Merge, Tracked, Written

_REASON = "persisted"
_FACTS = ("start_time", "running_start_time", "costs")


class Interface:
    """The rows, as another manager changes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def persist(self, merge: Merge, written: Sequence[Written], *, at: datetime) -> list[Refusal]:
        """Store what was written, all of it or nothing; refused rows stay as they are, and are returned.

        Raises `CampaignMovedError` where the campaign has got columns that *merge* does not know.
        """
        refusals = []
        with self._database.writing() as connection:
            merge_rows(connection, merge, at=at, actor=Actor.INTERFACE, reason=_REASON)
            columns = columns_from(connection.execute(sa.select(campaign.c.columns)).scalar_one())
            for one in written:
                now = load(connection, one.job)
                refusal = judge_written(one, now)
                if refusal is not None:
                    refusals.append(refusal)
                    continue
                change_cells(connection, now.number, one.change, columns)
                if one.columns:
                    _write(connection, one, now, at=at)
            count_edition(connection)
        return refusals


def _write(connection: sa.Connection, one: Written, now: Job, *, at: datetime) -> None:
    status = one.tracked.status if "status" in one.columns else now.status
    tracked = replace(one.tracked, status=status)
    values: dict[str, Any] = {"user_status": tracked.user_status} if "status" in one.columns else {}
    if status is JobStatus.NOT_STARTED and "backend_name" in one.columns:
        values["pinned_backend"] = tracked.backend_name
    if status is not JobStatus.NOT_STARTED and tracked.backend_name is not None:
        backend_id = ensure_backends(connection, [tracked.backend_name])[tracked.backend_name]
        if is_new_attempt(one, now):
            values["attempt_id"] = insert_tracked_attempt(
                connection, now.number, tracked, backend_id=backend_id, at=at
            )
        else:
            _write_attempt(connection, tracked, one.columns, now, backend_id=backend_id, at=at)
    if status is not now.status:
        values |= _results_of(tracked)
    change_status(connection, now, status, at=at, actor=Actor.INTERFACE, reason=_REASON, **values)


def _write_attempt(
    connection: sa.Connection,
    tracked: Tracked,
    columns: frozenset[str],
    now: Job,
    *,
    backend_id: int,
    at: datetime,
) -> None:
    current = attempt_of(now)
    values = {name: getattr(tracked, name) for name in _FACTS if name in columns}
    usage = _merge_usage(current.usage, tracked.usage, columns)
    if usage != current.usage:
        values["usage"] = usage or None
    if tracked.status is not now.status:
        values["ended_at"] = at if tracked.status in FINAL else None
        values |= unexplained_failure(tracked.status, at)
    if {"id", "backend_name", "status"} & columns and tracked.batch_job_id is not None:
        choose_tracked(connection, current.id, tracked, backend_id=backend_id, at=at)
    elif "id" in columns:
        values["chosen_id"] = None
    if "backend_name" in columns:
        values["backend_id"] = backend_id
    if values:
        connection.execute(sa.update(attempt).where(attempt.c.id == current.id).values(values))


def _merge_usage(old: Mapping[str, Any], new: Mapping[str, Any], columns: frozenset[str]) -> dict[str, Any]:
    """Return the usage with the fields that were written; one that was cleared is left out."""
    kept = {name: value for name, value in old.items() if name not in columns}
    return {**kept, **{name: value for name, value in new.items() if name in columns}}


def _results_of(tracked: Tracked) -> dict[str, Any]:
    """Return what is to become of the results: whoever has ended the row may not have fetched them."""
    if tracked.status is not JobStatus.FINISHED:
        return {}
    wanted = ResultsStatus.PENDING if tracked.batch_job_id else ResultsStatus.NOT_WANTED
    return {"results_status": wanted, "results_tries": 0, "results_not_before": None}
