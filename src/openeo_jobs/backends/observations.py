"""Reading what a backend says of a batch job, whatever it left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from openeo_jobs.errors import BackendAnswerError
from openeo_jobs.jobs import Observation


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
    usage = document.get("usage")
    title = document.get("title")
    return Observation(
        batch_job_id=batch_job_id,
        status=status.strip(),
        title=title if isinstance(title, str) else None,
        created=_text(document.get("created")),
        costs=_number(document.get("costs")),
        usage=usage if isinstance(usage, dict) else {},
        metadata=document,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
