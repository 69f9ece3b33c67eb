"""File names for assets, as openEO's client makes them, from names that are not to be trusted."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from openeo_jobs.backends.texts import path_of

MAX_BYTES = 200
"""Leaves room for `.part` below the 255 bytes that most file systems allow."""
PART = ".part"

_EXTENSIONS = {
    "image/tiff": ".tiff",
    "image/tiff; application=geotiff": ".tiff",
    "image/tiff; application=geotiff; profile=cloud-optimized": ".tiff",
    "application/x-netcdf": ".nc",
    "image/png": ".png",
    "application/json": ".json",
    "application/geo+json": ".json",
    "text/csv": ".csv",
    "x-gis/x-shapefile": ".shp",
    "application/geopackage+sqlite3": ".gpkg",
    "application/parquet; profile=geo": ".parquet",
    "application/zip+zarr": ".zarr",
    "application/zip": ".zip",
}
_LOOKS_LIKE_A_FILE = re.compile(r"[\w_.-]+\.[a-zA-Z0-9]{1,10}")
_UNSAFE = re.compile(r"[^\w_.-]+")
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?")


def assign_filenames(assets: Mapping[str, Mapping[str, Any]], *, reserved: Iterable[str]) -> dict[str, str]:
    """Give every asset a file name of its own; none is one of *reserved*, case ignored.

    The name depends on the keys of the assets and not on their order, so that it stays the same when the
    results are asked for again.
    """
    taken = {_folded(name) for name in reserved}
    numbers: dict[str, int] = {}
    filenames: dict[str, str] = {}
    for key in sorted(assets):
        filenames[key] = _distinct(_filename_of(key, assets[key]), taken, numbers)
        taken |= {_folded(filenames[key]), _folded(filenames[key] + PART)}
    return filenames


def part_of(path: Path) -> Path:
    """Return the file in which the one at *path* arrives."""
    return path.with_name(path.name + PART)


def _filename_of(key: str, asset: Mapping[str, Any]) -> str:
    if _LOOKS_LIKE_A_FILE.fullmatch(key):
        return _safe(key)
    path = unquote(path_of(str(asset.get("href", ""))))
    filename = f"{_sanitized(key)}-{_sanitized(path.strip('/').rpartition('/')[2])}"
    if not re.fullmatch(r".*\.[a-zA-Z0-9]{1,10}", filename):
        filename += _EXTENSIONS.get(str(asset.get("type")), "")
    return _safe(filename)


def _sanitized(text: str) -> str:
    return _UNSAFE.sub("", text.strip())


def _safe(filename: str) -> str:
    """Return a name that stays in its folder, on every system."""
    filename = unicodedata.normalize("NFC", filename).rstrip(". ")
    if not filename.strip(".-_"):
        filename = "asset"
    if _DEVICE.fullmatch(filename):
        filename = f"_{filename}"
    return _shortened(filename)


def _shortened(filename: str) -> str:
    if len(filename.encode()) <= MAX_BYTES:
        return filename
    digest = hashlib.sha256(filename.encode()).hexdigest()[:8]
    suffix = PurePosixPath(filename).suffix[:20]
    room = MAX_BYTES - len(suffix.encode()) - len(digest) - 1
    return f"{filename.encode()[:room].decode(errors='ignore')}-{digest}{suffix}"


def _distinct(filename: str, taken: set[str], numbers: dict[str, int]) -> str:
    """Return a name that is not *taken*; *numbers* holds the last one that was tried for each."""
    path, wanted = PurePosixPath(filename), filename
    while _folded(filename) in taken or _folded(filename + PART) in taken:
        numbers[wanted] = numbers.get(wanted, 1) + 1
        filename = f"{path.stem}-{numbers[wanted]}{path.suffix}"
    return filename


def _folded(filename: str) -> str:
    return unicodedata.normalize("NFC", filename.casefold())
