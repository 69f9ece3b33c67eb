"""The files of a batch job's results: the same bytes whenever they are asked for, without being stored."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openeo_jobs.simulator.contents import Content
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.rasters import make_geotiff, make_png
from openeo_jobs.simulator.validation import get_arguments, list_nodes
from openeo_jobs.status import JobStatus

_WIDTH = 16
_SOMEWHERE = (5.0, 51.0, 5.1, 51.1)
_SHA2_256 = "1220"
"""The multihash prefix: SHA2-256, 32 bytes."""
_MORE = re.compile(r"more-(\d{5,})\.bin")

BBox = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """One file of the results, with its content."""

    name: str
    media_type: str
    role: str
    content: Content

    @property
    def checksum(self) -> str:
        """The multihash of the content, as the STAC file extension wants it."""
        return _SHA2_256 + self.content.sha256


def make_files(job: BatchJob, status: JobStatus, *, more: tuple[int, int]) -> list[ResultFile]:
    """Make the files of the results: all when *job* is finished, one before; none if it failed.

    *more* is how many files there are beyond the usual ones, and of how many bytes each.
    """
    if job.latest is None or not _has_files(job, status):
        return []
    pixels = _draw_pixels(job.latest.key)
    geotiff = make_geotiff(pixels, width=_WIDTH, bbox=get_bbox(job.body["process"]))
    files = [
        ResultFile(
            name="openEO.tif",
            media_type="image/tiff; application=geotiff",
            role="data",
            content=Content.of(geotiff),
        ),
        ResultFile(
            name="statistics.json",
            media_type="application/json",
            role="metadata",
            content=Content.of(json.dumps(_summarise(pixels)).encode()),
        ),
        ResultFile(
            name="quicklook.png",
            media_type="image/png",
            role="thumbnail",
            content=Content.of(_draw_quicklook(pixels)),
        ),
        *(_make_more(job.latest.key, number, more[1]) for number in range(1, more[0] + 1)),
    ]
    return files if status == JobStatus.FINISHED else files[:1]


def find_file(job: BatchJob, status: JobStatus, name: str, *, more: tuple[int, int]) -> ResultFile | None:
    """Make one file of the results; None where there is none of that name."""
    match = _MORE.fullmatch(name)
    if match is None:
        return next((file for file in make_files(job, status, more=(0, 0)) if file.name == name), None)
    is_there = status == JobStatus.FINISHED and _has_files(job, status) and 1 <= int(match[1]) <= more[0]
    return _make_more(job.latest.key, int(match[1]), more[1]) if job.latest and is_there else None


def _has_files(job: BatchJob, status: JobStatus) -> bool:
    return job.latest is not None and job.latest.ever_ran and status != JobStatus.ERROR


def _make_more(key: str, number: int, size: int) -> ResultFile:
    return ResultFile(
        name=f"more-{number:05}.bin",
        media_type="application/octet-stream",
        role="data",
        content=Content(seed=f"more:{key}:{number}", size=size),
    )


def get_bbox(process: Mapping[str, Any]) -> BBox:
    """Return west, south, east, north of the first extent in degrees in *process*, else some place."""
    for node in list_nodes(process):
        arguments = get_arguments(node)
        for name in ("spatial_extent", "extent"):
            if (bbox := _read_bbox(arguments.get(name))) is not None:
                return bbox
    return _SOMEWHERE


def _read_bbox(extent: object) -> BBox | None:
    if (
        not isinstance(extent, Mapping)
        or str(extent.get("crs") or "4326").lower().removeprefix("epsg:") != "4326"
    ):
        return None
    try:
        west, south, east, north = (float(extent[side]) for side in ("west", "south", "east", "north"))
    except (KeyError, TypeError, ValueError):
        return None
    is_in_degrees = -180 <= west < east <= 180 and -90 <= south < north <= 90
    return (west, south, east, north) if is_in_degrees else None


def _draw_pixels(key: str) -> list[float]:
    draw = random.Random(f"pixels:{key}")
    return [draw.uniform(-0.2, 0.9) for _ in range(_WIDTH * _WIDTH)]


def _summarise(pixels: Sequence[float]) -> dict[str, float]:
    return {
        "count": len(pixels),
        "min": round(min(pixels), 6),
        "max": round(max(pixels), 6),
        "mean": round(sum(pixels) / len(pixels), 6),
    }


def _draw_quicklook(pixels: Sequence[float]) -> bytes:
    return make_png([round(255 * (pixel + 0.2) / 1.1) for pixel in pixels], width=_WIDTH)
