"""Reading what a backend says of a batch job, whatever it left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from openeo_jobs.backends.amounts import read_costs, read_usage
from openeo_jobs.backends.dates import read_instant
from openeo_jobs.errors import BackendAnswerError
from openeo_jobs.jobs import Observation
from openeo_jobs.status import ENDED


def observation_in(document: Mapping[str, Any], batch_job_id: str) -> Observation:
    """Read the answer to `GET /jobs/{job_id}`; only the status must be there.

    :raises BackendAnswerError: there is no status, or it is no text.
    """
    status = document.get("status")
    if not isinstance(status, str) or not status.strip():
        raise BackendAnswerError(f"batch job {batch_job_id} has no status: status is {status!r:.80}")
    return _observation(document, batch_job_id=_text(document.get("id")) or batch_job_id, status=status)


def observation_in_listing(entry: object) -> Observation | None:
    """Read an entry of `GET /jobs`; None where it names no batch job.

    A status that is missing is empty; the process, which does not belong there but may be large, is left out.
    """
    if not isinstance(entry, dict) or (batch_job_id := _text(entry.get("id"))) is None:
        return None
    document = {name: value for name, value in entry.items() if name != "process"}
    return _observation(document, batch_job_id=batch_job_id, status=_text(entry.get("status")) or "")


def _observation(document: Mapping[str, Any], *, batch_job_id: str, status: str) -> Observation:
    title = document.get("title")
    created_at = read_instant(document.get("created"))
    return Observation(
        batch_job_id=batch_job_id,
        status=status.strip(),
        title=title if isinstance(title, str) else None,
        created=_text(document.get("created")),
        costs=read_costs(document.get("costs")),
        usage=read_usage(document.get("usage")),
        metadata=document,
        created_at=created_at,
        queued_at=read_instant(document.get("queued")),
        started_at=read_instant(document.get("started")),
        ended_at=_ended_at(document, status.strip(), created_at),
    )


def _ended_at(document: Mapping[str, Any], status: str, created_at: datetime | None) -> datetime | None:
    """Return when a batch job ended: then its status changed last (openEO API 1.2.0, `updated`).

    Some backends never change `updated`: nothing ends when it is created.
    """
    if status not in ENDED:
        return None
    updated_at = read_instant(document.get("updated"))
    return None if updated_at is None or (created_at and updated_at <= created_at) else updated_at


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
