"""The results document: a STAC Collection with the files as signed assets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from openeo_jobs.simulator.assets import ResultFile, get_bbox
from openeo_jobs.simulator.collections import STAC_VERSION
from openeo_jobs.simulator.deviations import Files
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.validation import get_arguments, list_nodes
from openeo_jobs.status import JobStatus


def describe_results(
    job: BatchJob,
    files: Sequence[ResultFile],
    *,
    status: JobStatus,
    link: Callable[[str], str],
    announced: Files,
) -> dict[str, Any]:
    """Return what `GET /jobs/{id}/results` says; *link* makes the href that a path can be read by."""
    path = f"/jobs/{job.id}/results"
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": job.id,
        "title": job.title or job.id,
        "description": "Simulated results: valid files, invented pixels.",
        "license": "proprietary",
        "extent": {
            "spatial": {"bbox": [list(get_bbox(job.body["process"]))]},
            "temporal": {"interval": [_get_interval(job)]},
        },
        "openeo:status": status.value,
        "links": [
            {"rel": "self", "href": link(path).partition("?")[0], "type": "application/json"},
            {"rel": "canonical", "href": link(path), "type": "application/json"},
        ],
        "assets": {
            file.name: _describe_file(file, link(f"/assets/{job.id}/{file.name}"), announced)
            for file in files
        },
    }


def _describe_file(file: ResultFile, href: str, announced: Files) -> dict[str, Any]:
    asset = {"href": href, "type": file.media_type, "title": file.name, "roles": [file.role]}
    size = {"file:size": file.content.size} if announced.has_sizes else {}
    return asset | size | ({"file:checksum": file.checksum} if announced.has_checksums else {})


def _get_interval(job: BatchJob) -> list[Any]:
    for node in list_nodes(job.body["process"]):
        extent = get_arguments(node).get("temporal_extent")
        if isinstance(extent, list) and len(extent) == 2:
            return [_complete_time(end) for end in extent]
    return [None, None]


def _complete_time(text: object) -> str | None:
    """Add the time of day that RFC 3339 and STAC want and openEO's extents may leave out."""
    if not isinstance(text, str):
        return None
    return f"{text}T00:00:00Z" if len(text) == len("2023-01-01") else text
