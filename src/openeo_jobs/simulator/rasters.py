"""A GeoTIFF and a PNG, written byte by byte: small, valid, and without any dependency."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

_SHORT, _LONG, _DOUBLE = 3, 4, 12
_FORMATS = {_SHORT: "H", _LONG: "I", _DOUBLE: "d"}
_HEADER_SIZE = 8
_GEO_KEYS = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)
"""Version 1.1.0, three keys: geographic coordinates, a pixel is an area, EPSG:4326."""

_Entry = tuple[int, int, Sequence[float]]


def make_geotiff(pixels: Sequence[float], *, width: int, bbox: tuple[float, float, float, float]) -> bytes:
    """Make an uncompressed GeoTIFF of one float32 band in EPSG:4326; *bbox* is west, south, east, north."""
    height = len(pixels) // width
    data = struct.pack(f"<{len(pixels)}f", *pixels)
    west, south, east, north = bbox
    entries: list[_Entry] = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [32]),
        (259, _SHORT, [1]),
        (262, _SHORT, [1]),
        (273, _LONG, [_HEADER_SIZE]),
        (277, _SHORT, [1]),
        (278, _LONG, [height]),
        (279, _LONG, [len(data)]),
        (339, _SHORT, [3]),
        (33550, _DOUBLE, [(east - west) / width, (north - south) / height, 0.0]),
        (33922, _DOUBLE, [0.0, 0.0, 0.0, west, north, 0.0]),
        (34735, _SHORT, _GEO_KEYS),
    ]
    directory_at = _HEADER_SIZE + len(data)
    return struct.pack("<2sHI", b"II", 42, directory_at) + data + _pack_directory(entries, at=directory_at)


def make_png(pixels: Sequence[int], *, width: int) -> bytes:
    """Make a PNG of grey values from 0 to 255."""
    rows = [bytes(pixels[start : start + width]) for start in range(0, len(pixels), width)]
    return (
        b"\x89PNG\r\n\x1a\n"
        + _pack_chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 8, 0, 0, 0, 0))
        + _pack_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + _pack_chunk(b"IEND", b"")
    )


def _pack_directory(entries: Sequence[_Entry], *, at: int) -> bytes:
    """Pack the directory of a TIFF that begins *at*; values longer than four bytes follow behind it."""
    behind_at = at + 2 + 12 * len(entries) + 4
    packed, behind = b"", b""
    for tag, kind, values in entries:
        value = struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)
        if len(value) > 4:
            place = struct.pack("<I", behind_at + len(behind))
            behind += value
        else:
            place = value.ljust(4, b"\0")
        packed += struct.pack("<HHI", tag, kind, len(values)) + place
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", 0) + behind


def _pack_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
