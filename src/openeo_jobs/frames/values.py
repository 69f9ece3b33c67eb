"""One cell of a dataframe as JSON, and back: plain where JSON has the type, else a tagged object."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

from openeo_jobs.errors import SchemaTooNewError
from openeo_jobs.frames import geometry, moments
from openeo_jobs.frames.refusal import RefusedError

Json = Any
MAX_DEPTH = 100
"""How deep lists and dicts may be nested; SQLite reads JSON up to 1000 deep."""

_AS_TEXT = "{column} = {column}.map(str)"
_REMEDIES = {
    "bytes": "{column} = {column}.map(bytes.hex)",
    "set": "{column} = {column}.map(sorted)",
    "frozenset": "{column} = {column}.map(sorted)",
    "ndarray": "{column} = {column}.map(lambda array: array.tolist())",
    "complex": "keep its real and its imaginary part in two columns",
    "Enum": "{column} = {column}.map(lambda member: member.value)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A type that JSON does not have: its tag, how a value is written beside the tag, and how it is read."""

    tag: str
    type: type
    write: Callable[[Any], dict[str, Json]]
    read: Callable[[Mapping[str, Json]], Any]

    def encode(self, value: Any) -> Json:
        """Write *value* as a tagged object."""
        return {"$": self.tag, **self.write(value)}


def encode_value(value: Any, depth: int = 0) -> Json:
    """Write a cell as strict JSON, or refuse it.

    Scalars of numpy and of subclasses become Python's own; all else comes back equal and of the same type.
    """
    encode = _SCALARS.get(type(value))
    if encode is not None:
        return encode(value)
    encode_items = _CONTAINERS.get(type(value))
    if encode_items is None:
        return (
            geometry.encode_geometry(value) if geometry.is_geometry(value) else encode_value(_reduce(value))
        )
    if depth == MAX_DEPTH:
        raise RefusedError(f"a {type(value).__name__} is nested more than {MAX_DEPTH} deep", _AS_TEXT)
    return encode_items(value, depth + 1)


def decode_value(cell: Json) -> Any:
    """Make the value that `encode_value` wrote."""
    if type(cell) is list:
        return [decode_value(item) for item in cell]
    if type(cell) is not dict:
        return cell
    if "$" not in cell:
        return {key: decode_value(item) for key, item in cell.items()}
    read = _READERS.get(cell["$"])
    if read is None:
        raise SchemaTooNewError(
            f"a cell is of the kind {cell['$']!r}, which this version of openeo-jobs does not know"
        )
    return read(cell)


def _reduce(value: Any) -> Any:
    """Return the one of Python's own scalars that *value* is, or refuse it."""
    if isinstance(value, Enum):
        raise _refusal(value, _REMEDIES["Enum"])
    if isinstance(value, np.generic):
        return _reduce_numpy(value)
    for plain in (str, int, float):
        if isinstance(value, plain):
            return _PLAIN[plain](value)
    raise _refusal(value, _REMEDIES.get(type(value).__name__, _AS_TEXT))


_PLAIN: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}


def _reduce_numpy(value: Any) -> Any:
    try:
        if isinstance(value, np.datetime64):
            return pd.Timestamp(value)
        reduced = pd.Timedelta(value) if isinstance(value, np.timedelta64) else value.item()
    except (ValueError, OverflowError) as error:
        raise _refusal(value, _AS_TEXT) from error
    if isinstance(reduced, np.generic):
        raise _refusal(value, "{column} = {column}.map(float)")
    return reduced


def _refusal(value: object, remedy: str) -> RefusedError:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return RefusedError(f"a value of type {name} cannot be stored", remedy)


def _identity(value: Any) -> Any:
    return value


def _encode_int(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise RefusedError("an int of more than 64 bits (signed) cannot be stored", _AS_TEXT)
    return value


def _encode_float(value: float) -> Json:
    if math.isfinite(value):
        return value
    return {"$": "float", "text": None if value != value else str(value), "value": str(value)}


def _encode_str(value: str) -> Json:
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise RefusedError(
            "a text with half of a surrogate pair cannot be stored",
            "{column} = {column}.map(lambda text: text.encode('utf-8', 'replace').decode())",
        )
    if "\0" in value:  # PostgreSQL has no text with it, not even inside of JSON
        return {"$": "str", "text": value.replace("\0", "\N{SYMBOL FOR NULL}"), "value": ascii(value)}
    return value


def _decode_str(cell: Mapping[str, Json]) -> str:
    escaped: str = cell["value"][1:-1]
    return escaped.encode("ascii").decode("unicode_escape")


def _encode_list(value: list[Any], depth: int) -> Json:
    return [encode_value(item, depth) for item in value]


def _encode_tuple(value: tuple[Any, ...], depth: int) -> Json:
    return {"$": "tuple", "text": repr(value), "items": _encode_list(list(value), depth)}


def _encode_dict(value: dict[Any, Any], depth: int) -> Json:
    keys = [encode_value(key, depth) for key in value]
    items = [encode_value(item, depth) for item in value.values()]
    if all(type(key) is str for key in keys) and "$" not in keys:
        return dict(zip(keys, items, strict=True))
    return {"$": "dict", "text": repr(value), "items": [list(pair) for pair in zip(keys, items, strict=True)]}


def _decode_tuple(cell: Mapping[str, Json]) -> tuple[Any, ...]:
    return tuple(decode_value(cell["items"]))


def _decode_dict(cell: Mapping[str, Json]) -> dict[Any, Any]:
    return dict(decode_value(cell["items"]))


def _write_interval(value: Any) -> dict[str, Json]:
    ends = {"left": encode_value(value.left), "right": encode_value(value.right)}
    return {"text": str(value), **ends, "closed": value.closed}


def _read_interval(cell: Mapping[str, Json]) -> Any:
    return pd.Interval(decode_value(cell["left"]), decode_value(cell["right"]), closed=cell["closed"])


def _by_text(tag: str, type_: type, write: Callable[[Any], str], read: Callable[[str], Any]) -> Kind:
    """A kind whose text says everything."""
    return Kind(
        tag=tag, type=type_, write=lambda value: {"text": write(value)}, read=lambda cell: read(cell["text"])
    )


def _single(tag: str, value: object) -> Kind:
    """A kind that has one value only, which is nothing."""
    return Kind(tag=tag, type=type(value), write=lambda _: {"text": None}, read=lambda _: value)


KINDS = (
    _single("NaT", pd.NaT),
    _single("NA", pd.NA),
    _by_text("Decimal", Decimal, str, Decimal),
    _by_text("UUID", UUID, str, UUID),
    _by_text("date", date, date.isoformat, date.fromisoformat),
    Kind(tag="time", type=time, write=moments.write_time, read=moments.read_time),
    Kind(tag="datetime", type=datetime, write=moments.write_datetime, read=moments.read_datetime),
    Kind(tag="timedelta", type=timedelta, write=moments.write_timedelta, read=moments.read_timedelta),
    Kind(tag="Timestamp", type=pd.Timestamp, write=moments.write_timestamp, read=moments.read_timestamp),
    Kind(tag="Timedelta", type=pd.Timedelta, write=moments.write_ticks, read=moments.read_pandas_timedelta),
    Kind(tag="Period", type=pd.Period, write=moments.write_period, read=moments.read_period),
    Kind(tag="Interval", type=pd.Interval, write=_write_interval, read=_read_interval),
)

_SCALARS: dict[type, Callable[[Any], Json]] = {
    type(None): _identity,
    bool: _identity,
    int: _encode_int,
    float: _encode_float,
    str: _encode_str,
    **{kind.type: kind.encode for kind in KINDS},
}

_CONTAINERS: dict[type, Callable[[Any, int], Json]] = {
    list: _encode_list,
    tuple: _encode_tuple,
    dict: _encode_dict,
}

_READERS: dict[str, Callable[[Any], Any]] = {
    "float": lambda cell: np.nan if cell["value"] == "nan" else float(cell["value"]),
    "str": _decode_str,
    "tuple": _decode_tuple,
    "dict": _decode_dict,
    geometry.TAG: geometry.decode_geometry,
    **{kind.tag: kind.read for kind in KINDS},
}
