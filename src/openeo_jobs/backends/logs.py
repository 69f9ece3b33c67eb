"""The logs of a batch job: its errors, and its last line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openeo_jobs.backends.pages import read_pages
from openeo_jobs.backends.transport import Transport
from openeo_jobs.errors import BackendRefusedError

LEVEL = "error"


def get_error_logs(transport: Transport, batch_job_id: str) -> list[dict[str, Any]]:
    """Get the log entries of level error, every page; none where there are no logs yet (404).

    Entries that are plain text become entries with a message. Where a backend ignores the level that was
    asked for, entries of other levels are left out.
    """
    entries = (_entry(one) for one in _read_logs(transport, batch_job_id, {"level": LEVEL}))
    return [entry for entry in entries if entry is not None and _is_error(entry)]


def get_last_log_line(transport: Transport, batch_job_id: str) -> str | None:
    """Get the message of the last log entry that has one, of any level; None where there is none."""
    last = None
    for one in _read_logs(transport, batch_job_id, {}):
        entry = _entry(one)
        message = str((entry or {}).get("message") or "").strip()
        last = message or last
    return last


def _read_logs(transport: Transport, batch_job_id: str, params: dict[str, str]) -> Iterator[object]:
    try:
        for page in read_pages(transport, transport.url_of("jobs", batch_job_id, "logs"), params):
            logs = page.document.get("logs")
            yield from logs if isinstance(logs, list) else ()
    except BackendRefusedError as error:
        if error.http_status != 404:
            raise


def _entry(entry: object) -> dict[str, Any] | None:
    if isinstance(entry, str):
        return {"level": LEVEL, "message": entry}
    return entry if isinstance(entry, dict) else None


def _is_error(entry: dict[str, Any]) -> bool:
    level = entry.get("level")
    return level is None or str(level).lower() == LEVEL
