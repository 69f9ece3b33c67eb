"""The index of a dataframe, and its row of column names, as a column that is stored, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from openeo_jobs.frames.columns import build_array, describe_column, to_index
from openeo_jobs.frames.values import Json, decode_value, encode_value
from openeo_jobs.jobs import Column


def describe_axis(axis: pd.Index[Any], **more: Json) -> Column:
    """Describe an index: dtype, name, its range or frequency, and what *more* there is to say."""
    described = describe_column(axis)
    detail = {**described.detail, "name": encode_value(axis.name), **_describe_order(axis), **more}
    name = axis.name if isinstance(axis.name, str) else ""
    return Column(name=name, dtype=described.dtype, detail=detail)


def build_axis(labels: list[Any], dtype: str, detail: Mapping[str, Json]) -> pd.Index[Any]:
    """Build the index that was described, from all or some of its *labels*."""
    name = decode_value(detail["name"])
    if "range" in detail and labels == list(whole := range(*detail["range"])):
        return pd.RangeIndex(whole, name=name)
    index = to_index(build_array(labels, dtype, detail), name)
    return _with_freq(index, detail["freq"]) if "freq" in detail else index


def _describe_order(axis: pd.Index[Any]) -> dict[str, Json]:
    if isinstance(axis, pd.RangeIndex):
        return {"range": [axis.start, axis.stop, axis.step]}
    if isinstance(axis, pd.DatetimeIndex | pd.TimedeltaIndex) and axis.freq is not None:
        return {"freq": axis.freqstr}
    return {}


def _with_freq(index: Any, freq: str) -> pd.Index[Any]:
    """Return *index* with its frequency, or without where only some of its labels are left."""
    made: pd.Index[Any]
    try:
        made = type(index)(index, freq=freq)
    except ValueError:
        made = index
    return made
