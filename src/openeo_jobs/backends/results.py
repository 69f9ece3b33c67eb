"""The results document of a batch job: which files it offers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from openeo_jobs.assets import RESULTS_FILENAME, Offer, Results
from openeo_jobs.backends.checks import size_in
from openeo_jobs.backends.filenames import assign_filenames
from openeo_jobs.backends.roots import resolved
from openeo_jobs.backends.texts import without_query
from openeo_jobs.backends.transport import Transport
from openeo_jobs.errors import BackendAnswerError

_OBJECT_STORES = ("s3", "s3a", "s3n", "gs", "gcs", "az", "abfs", "abfss", "swift")
"""Schemes of the places that `export_workspace` and the like leave results in."""


def get_results(transport: Transport, batch_job_id: str) -> Results:
    """Ask for the results of a batch job.

    Only top-level `assets` are offered, as by openEO's client, not those of linked items.

    :raises BackendAnswerError: the answer is no results document.
    """
    url = transport.url_of("jobs", batch_job_id, "results")
    document = transport.get_json(url)
    assets = _assets_in(document, batch_job_id)
    reserved = (RESULTS_FILENAME, f"job_{batch_job_id}.json", f"job_{batch_job_id}_errors.json")
    filenames = assign_filenames(assets, reserved=reserved)
    return Results(
        document=document,
        offers=tuple(_offer(url, name, asset, filenames[name]) for name, asset in assets.items()),
        expires_at=_expiry_in(document),
    )


def _assets_in(document: Mapping[str, Any], batch_job_id: str) -> dict[str, Mapping[str, Any]]:
    assets = document.get("assets")
    if not isinstance(assets, dict):
        raise BackendAnswerError(f"the results of {batch_job_id} have no assets: assets is {assets!r:.80}")
    for key, asset in assets.items():
        if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
            raise BackendAnswerError(f"asset {key!r:.80} of {batch_job_id} has no href")
    return assets


def _offer(url: str, name: str, asset: Mapping[str, Any], filename: str) -> Offer:
    href = resolved(url, asset["href"])
    if href == url:
        raise BackendAnswerError(f"asset {name!r:.80} has no href of its own: it is {asset['href']!r:.80}")
    media_type = asset.get("type")
    multihash = asset.get("file:checksum") or asset.get("checksum:multihash")
    is_elsewhere = href.partition("://")[0].lower() in _OBJECT_STORES
    return Offer(
        name=name,
        filename=filename,
        url=href,
        media_type=media_type if isinstance(media_type, str) else None,
        size=size_in(asset.get("file:size")),
        checksum=multihash if isinstance(multihash, str) else None,
        exported_to=without_query(href) if is_elsewhere else None,
    )


def _expiry_in(document: Mapping[str, Any]) -> datetime | None:
    """Return when the files expire: `expires`, of the document or its properties (STAC, timestamps)."""
    properties = document.get("properties")
    for members in (properties, document):
        text = members.get("expires") if isinstance(members, dict) else None
        if isinstance(text, str):
            try:
                instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
                return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
            except (ValueError, OverflowError):  # none, or one beyond the year 9999
                continue
    return None
