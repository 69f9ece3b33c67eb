"""How a batch job reads in the API: its metadata, its entry in a list, its logs, an estimate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from openeo_jobs.simulator.lifecycle import BatchJob, Execution
from openeo_jobs.status import JobStatus

CREDITS_PER_SECOND = 1.0
LEVELS = ("error", "warning", "info", "debug")
"""Each level contains those before it."""

_CORES = 4
_MEGABYTES = 2048
_NOT_IN_LISTS = ("process", "job_options", "usage", "log_level")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry of the logs; the ids count from 1 and stay."""

    id: str
    level: str
    message: str
    time: datetime
    code: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry as the API has it."""
        entry = {"id": self.id, "level": self.level, "message": self.message, "time": format_time(self.time)}
        return {**entry, "code": self.code} if self.code else entry


def format_time(at: datetime) -> str:
    """Format an instant as RFC 3339, in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe_job(job: BatchJob, now: datetime) -> dict[str, Any]:
    """Return what `GET /jobs/{id}` says: the body as it was sent, and what became of it."""
    status = job.word_at(now)
    return {
        **job.body,
        "id": job.id,
        "status": status.value,
        "progress": _get_progress(job, status, now),
        "created": format_time(job.created_at),
        "updated": format_time(job.updated_at(now)),
        "costs": get_costs(job, now),
        **({"usage": _get_usage(job, now)} if _has_ended(status) else {}),
    }


def summarise_job(job: BatchJob, now: datetime) -> dict[str, Any]:
    """Return what `GET /jobs` says of *job*."""
    return {name: value for name, value in describe_job(job, now).items() if name not in _NOT_IN_LISTS}


def get_costs(job: BatchJob, now: datetime) -> float | None:
    """Return the credits for all executions of *job*; None before the end of the latest."""
    if not _has_ended(job.status_at(now)):
        return None
    return round(job.run_time_at(now).total_seconds() * CREDITS_PER_SECOND, 2)


def list_log_entries(job: BatchJob, now: datetime) -> list[LogEntry]:
    """Return the logs of the latest execution so far, as far as the body's `log_level` lets them in."""
    lowest = job.body.get("log_level") or "info"
    events = enumerate(_list_events(job.latest, now) if job.latest else (), start=1)
    entries = [
        LogEntry(id=str(number), time=at, level=level, message=message, code=code)
        for number, (at, level, message, code) in events
    ]
    return select_level(entries, lowest)


def select_level(entries: list[LogEntry], lowest: str) -> list[LogEntry]:
    """Return the entries of level *lowest* and of the more severe ones."""
    levels = LEVELS[: LEVELS.index(lowest) + 1] if lowest in LEVELS else LEVELS
    return [entry for entry in entries if entry.level in levels]


def _has_ended(status: JobStatus) -> bool:
    return status in (JobStatus.FINISHED, JobStatus.ERROR, JobStatus.CANCELED)


def _get_progress(job: BatchJob, status: JobStatus, now: datetime) -> float:
    if job.latest is None or status == JobStatus.CREATED:
        return 0.0
    return round(job.latest.progress_at(now), 1)


def _get_usage(job: BatchJob, now: datetime) -> dict[str, Any]:
    seconds = job.run_time_at(now).total_seconds()
    return {
        "cpu": {"value": round(seconds * _CORES, 3), "unit": "cpu-seconds"},
        "memory": {"value": round(seconds * _MEGABYTES, 3), "unit": "mb-seconds"},
        "duration": {"value": round(seconds, 3), "unit": "seconds"},
        "network": {"value": round(seconds * 50, 3), "unit": "mb"},
        "storage": {"value": 0.002, "unit": "mb"},
    }


def _list_events(execution: Execution, now: datetime) -> Iterator[tuple[datetime, str, str, str | None]]:
    yield execution.queued_at, "info", "The batch job was queued.", None
    if execution.ever_ran and execution.running_at <= now:
        yield execution.running_at, "info", f"The batch job runs on {_CORES} cores.", None
        yield execution.running_at, "debug", "Loading the input.", None
    if execution.ended_at <= now:
        yield from _list_last_events(execution)


def _list_last_events(execution: Execution) -> Iterator[tuple[datetime, str, str, str | None]]:
    failure = execution.failure
    if execution.stopped_at is not None:
        yield execution.stopped_at, "info", "The batch job was stopped.", None
    elif failure is not None:
        yield execution.ends_at, failure.level, failure.message, failure.code
    else:
        yield execution.ends_at, "info", "The batch job has finished.", None
