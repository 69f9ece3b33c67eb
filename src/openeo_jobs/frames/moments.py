"""Times and durations, Python's and pandas', as what is written beside their tag, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from openeo_jobs.frames.zones import decode_zone, encode_zone

Body = dict[str, Any]
Cell = Mapping[str, Any]


def write_datetime(value: datetime) -> Body:
    """Write a datetime: wall clock and offset, zone, fold."""
    return {"text": value.isoformat(), **_write_zone_and_fold(value)}


def read_datetime(cell: Cell) -> datetime:
    """Make the datetime that `write_datetime` wrote."""
    value = datetime.fromisoformat(cell["text"])
    if "zone" not in cell:
        return value.replace(fold=cell.get("fold", 0))
    zone = decode_zone(cell["zone"])
    if cell["zone"][0] != "pytz":
        return value.replace(tzinfo=zone, fold=cell.get("fold", 0))
    localized = value.astimezone(zone)
    return localized if localized.utcoffset() == value.utcoffset() else value.replace(tzinfo=zone)


def write_time(value: time) -> Body:
    """Write a time of day, with its zone and fold."""
    return {"text": value.isoformat(), **_write_zone_and_fold(value)}


def read_time(cell: Cell) -> time:
    """Make the time that `write_time` wrote."""
    zone = decode_zone(cell["zone"]) if "zone" in cell else None
    return time.fromisoformat(cell["text"]).replace(tzinfo=zone, fold=cell.get("fold", 0))


def write_timedelta(value: timedelta) -> Body:
    """Write a timedelta."""
    return {"text": str(value), "value": [value.days, value.seconds, value.microseconds]}


def read_timedelta(cell: Cell) -> timedelta:
    """Make the timedelta that `write_timedelta` wrote."""
    return timedelta(*cell["value"])


def count_ticks(value: Any) -> int:
    """Count the units of a Timedelta, or of a Timestamp since 1970 (UTC); NaT has a number too."""
    return NAT_TICKS if value is pd.NaT else int(value.asm8.view("i8"))


NAT_TICKS = int(np.iinfo(np.int64).min)
"""What numpy keeps for "not a time"."""


def write_ticks(value: Any) -> Body:
    """Write a Timedelta, or what is unzoned of a Timestamp: its ticks and their unit."""
    return {"text": str(value), "value": count_ticks(value), "unit": value.unit}


def read_pandas_timedelta(cell: Cell) -> pd.Timedelta:
    """Make the Timedelta that `write_ticks` wrote."""
    return pd.Timedelta(np.timedelta64(cell["value"], cell["unit"]))


def write_timestamp(value: pd.Timestamp) -> Body:
    """Write a Timestamp: its instant to the tick, unit, zone, fold."""
    return {**write_ticks(value), "text": value.isoformat(), **_write_zone_and_fold(value)}


def read_timestamp(cell: Cell) -> pd.Timestamp:
    """Make the Timestamp that `write_timestamp` wrote."""
    value = pd.Timestamp(np.datetime64(cell["value"], cell["unit"]))
    if "zone" in cell:
        return value.tz_localize("UTC").tz_convert(decode_zone(cell["zone"]))
    return value.replace(fold=1) if "fold" in cell else value


def write_period(value: pd.Period) -> Body:
    """Write a Period."""
    return {"text": str(value), "value": value.ordinal, "freq": value.freqstr}


def read_period(cell: Cell) -> pd.Period:
    """Make the Period that `write_period` wrote."""
    return pd.Period(ordinal=cell["value"], freq=cell["freq"])


def _write_zone_and_fold(value: datetime | time) -> Body:
    zone = {} if value.tzinfo is None else {"zone": encode_zone(value.tzinfo)}
    return {**zone, "fold": 1} if value.fold else zone
