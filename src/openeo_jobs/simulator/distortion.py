"""Documents as some backends write them, made from what they should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from openeo_jobs.simulator.deviations import Documents

_FEW_FIELDS = ("id", "title", "status", "created")
_NULLABLE = ("plan", "budget")
_LATE = ("costs", "usage")


def distort_job(document: Mapping[str, Any], documents: Documents) -> dict[str, Any]:
    """Return what such a backend says of a batch job, alone or in a list."""
    changed = dict(document)
    if documents.updated == "frozen" and "updated" in changed:
        changed["updated"] = changed["created"]
    elif documents.updated == "absent":
        changed.pop("updated", None)
    if documents.has_plain_dates:
        changed.update({name: _strip(changed[name]) for name in ("created", "updated") if name in changed})
    if not documents.has_created:
        del changed["created"]
    if documents.has_progress_as_text and "progress" in changed:
        changed["progress"] = f"{changed['progress']} %"
    if documents.has_null_as_object:
        changed.update({name: {} for name in _NULLABLE if changed.get(name, ...) is None})
    return changed


def withhold_costs(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what such a backend says of a batch job whose costs it does not know yet."""
    return {name: None if name in _LATE else value for name, value in document.items()}


def keep_few_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what such a backend has of a batch job in its list."""
    return {name: value for name, value in entry.items() if name in _FEW_FIELDS}


def distort_log_entry(entry: Mapping[str, Any], documents: Documents) -> object:
    """Return what such a backend has in its logs."""
    return entry["message"] if documents.has_plain_logs else entry


def distort_location(url: str, documents: Documents) -> str:
    """Return the header `Location` of such a backend for *url*."""
    parts = urlsplit(url)
    if documents.location == "double_slash":
        return f"{parts.scheme}://{parts.netloc}/{parts.path}"
    return url if documents.location == "absolute" else f"{parts.netloc}{parts.path}"


def _strip(date: str) -> str:
    return date.partition(".")[0].replace("T", " ")
