"""The error logs of a batch job."""

from __future__ import annotations

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
    entries: list[dict[str, Any]] = []
    try:
        for page in read_pages(transport, transport.url_of("jobs", batch_job_id, "logs"), {"level": LEVEL}):
            logs = page.document.get("logs")
            entries += [found for e in (logs if isinstance(logs, list) else ()) if (found := _entry(e))]
    except BackendRefusedError as error:
        if error.http_status != 404:
            raise
    return entries


def _entry(entry: object) -> dict[str, Any] | None:
    if isinstance(entry, str):
        return {"level": LEVEL, "message": entry}
    if not isinstance(entry, dict):
        return None
    level = entry.get("level")
    return entry if level is None or str(level).lower() == LEVEL else None
