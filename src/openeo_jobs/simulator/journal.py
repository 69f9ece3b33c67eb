"""The file that the batch jobs lie in: one line of JSON per change, appended, read once at the start.

A line is written with one system call before the change is answered, so whatever kills the process, what a
client was told is in the file; half a line at its end was never answered, and is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from openeo_jobs.simulator.lifecycle import BatchJob, Execution, Problem


class Journal:
    """An append-only file of changes to batch jobs."""

    def __init__(self, path: Path) -> None:
        _cut_half_line(path)
        self._path = path
        self._file = path.open("ab", buffering=0)

    def read(self) -> dict[str, BatchJob]:
        """Return every batch job as it was last written, the deleted ones included, in order of creation."""
        members: dict[str, dict[str, Any]] = {}
        with self._path.open("rb") as lines:
            for line in lines:
                change = json.loads(line)
                members.setdefault(change["id"], {}).update(change)
        return {batch_job_id: _decode(change) for batch_job_id, change in members.items()}

    def append(self, job: BatchJob, *, before: BatchJob | None) -> None:
        """Write down in what *job* differs from what it was *before*."""
        known = _encode(before) if before is not None else {}
        change = {name: value for name, value in _encode(job).items() if known.get(name) != value}
        self._file.write(json.dumps({**change, "id": job.id}).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cut_half_line(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _encode(job: BatchJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "user": job.user,
        "created_at": job.created_at.isoformat(),
        "body": dict(job.body),
        "executions": [_encode_execution(execution) for execution in job.executions],
        "deleted_at": _encode_time(job.deleted_at),
    }


def _encode_execution(execution: Execution) -> dict[str, Any]:
    failure = execution.failure
    return {
        "key": execution.key,
        "queued_at": execution.queued_at.isoformat(),
        "running_at": execution.running_at.isoformat(),
        "ends_at": execution.ends_at.isoformat(),
        "failure": failure and {"code": failure.code, "message": failure.message, "level": failure.level},
        "stopped_at": _encode_time(execution.stopped_at),
        "vanishes_at": _encode_time(execution.vanishes_at),
        "corrected_at": _encode_time(execution.corrected_at),
    }


def _encode_time(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _decode(members: Mapping[str, Any]) -> BatchJob:
    return BatchJob(
        id=members["id"],
        user=members["user"],
        created_at=datetime.fromisoformat(members["created_at"]),
        body=members["body"],
        executions=tuple(_decode_execution(execution) for execution in members.get("executions", ())),
        deleted_at=_decode_time(members.get("deleted_at")),
    )


def _decode_execution(members: Mapping[str, Any]) -> Execution:
    return Execution(
        key=members["key"],
        queued_at=datetime.fromisoformat(members["queued_at"]),
        running_at=datetime.fromisoformat(members["running_at"]),
        ends_at=datetime.fromisoformat(members["ends_at"]),
        failure=Problem(**members["failure"]) if members["failure"] else None,
        stopped_at=_decode_time(members["stopped_at"]),
        vanishes_at=_decode_time(members.get("vanishes_at")),
        corrected_at=_decode_time(members.get("corrected_at")),
    )


def _decode_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
