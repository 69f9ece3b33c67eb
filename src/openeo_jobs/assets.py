"""The files of a batch job's results, as frozen values: what a backend offers, and what is here of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

RESULTS_FILENAME = "job-results.json"
"""The file beside the assets that describes them; it is written last."""


class AssetState(StrEnum):
    """How far one file of the results is."""

    PENDING = "pending"
    DOWNLOADED = "downloaded"
    FAILED = "failed"
    NOT_WANTED = "not_wanted"
    """A filter has left it out, or the backend has exported it to another place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file that a backend offers among the results of a batch job.

    `name` is the backend's, `filename` is made of it, safe and distinct. `size` is in bytes, `checksum` a
    multihash in hex, both as far as the backend says.
    """

    name: str
    filename: str
    url: str = field(repr=False)
    """Where it is; may be signed, so that it is never stored, nor shown."""
    media_type: str | None = None
    size: int | None = None
    checksum: str | None = None
    exported_to: str | None = None
    """Where it was exported to (`s3://...`), outside of the backend: it is not fetched from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a backend says of the results of a batch job (openEO API, `GET /jobs/{job_id}/results`).

    `document` is the answer, a STAC Item or Collection. `expires_at` is when the backend deletes the files.
    """

    document: Mapping[str, Any]
    offers: tuple[Offer, ...]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that is here, whole: its size in bytes, its SHA-256 in hex."""

    size: int
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is here of a file that is on its way: as much of *version* (a strong `ETag`) as has arrived.

    It was written while the machine ran that booted as `boot_id`.
    """

    version: str
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of a job's results, as the database knows it.

    `announced_size` and `announced_checksum` are what the backend says of it, `size` (bytes) and `checksum`
    (SHA-256, hex) what was found when it had arrived.
    """

    name: str
    path: Path
    state: AssetState = AssetState.PENDING
    media_type: str | None = None
    announced_size: int | None = None
    announced_checksum: str | None = None
    size: int | None = None
    checksum: str | None = None
    downloaded_at: datetime | None = None
    """When it arrived last; one that is pending nevertheless belongs to an earlier run of the batch job."""
    part: Part | None = None
    id: int | None = None
    """Its number in the database; None before it is there."""

    @property
    def is_wanted(self) -> bool:
        """Whether it is to be on disk."""
        return self.state is not AssetState.NOT_WANTED

    @property
    def is_settled(self) -> bool:
        """Whether it is on disk, or not wanted there."""
        return self.state in (AssetState.DOWNLOADED, AssetState.NOT_WANTED)
