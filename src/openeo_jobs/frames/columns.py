"""A column's dtype, as what it takes to build it again, and its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from openeo_jobs.frames import geometry
from openeo_jobs.frames.arrays import build_object_array
from openeo_jobs.frames.moments import count_ticks
from openeo_jobs.frames.refusal import RefusedError
from openeo_jobs.frames.values import Json, decode_value, encode_value
from openeo_jobs.frames.zones import decode_zone, encode_zone
from openeo_jobs.jobs import Column

Array = Any
"""An array of numpy, or an extension array of pandas or geopandas."""
Values = Any
"""A column or an index: a Series or an Index."""


def _encode_each(values: Values) -> list[Json]:
    cells = []
    for position, value in enumerate(values.tolist()):
        try:
            cells.append(encode_value(value))
        except RefusedError as refusal:
            raise refusal.at(position) from None
    return cells


def _decode_each(cells: Sequence[Json]) -> list[Any]:
    return [decode_value(cell) for cell in cells]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Dtypes that are described and built alike."""

    has: Callable[[Any], bool]
    describe: Callable[[Values], dict[str, Json]]
    build: Callable[[list[Any], str, Mapping[str, Json]], Array]
    encode: Callable[[Values], list[Json]] = _encode_each
    decode: Callable[[Sequence[Json]], list[Any]] = _decode_each


def describe_column(values: Values, name: str = "") -> Column:
    """Describe the dtype of a column or an index, or refuse it."""
    for family_name, family in FAMILIES.items():
        if family.has(values.dtype):
            detail = {"family": family_name, **family.describe(values)}
            return Column(name=name, dtype=str(values.dtype), detail=detail)
    raise RefusedError(f"the dtype {values.dtype} cannot be stored", _remedy(str(values.dtype)))


def describe_part(values: Values) -> Json:
    """Describe what something consists of, such as categories, for `build_array(values, **part)`."""
    part = describe_column(values)
    return {"dtype": part.dtype, "detail": part.detail}


def build_array(values: list[Any], dtype: str, detail: Mapping[str, Json]) -> Array:
    """Build the array that was described, from all or some of its values."""
    return FAMILIES[detail["family"]].build(values, dtype, detail)


def encode_cells(values: Values, detail: Mapping[str, Json]) -> list[Json]:
    """Write every cell of a column or an index; a refusal says at which position."""
    return FAMILIES[detail["family"]].encode(values)


def decode_cells(cells: Sequence[Json], detail: Mapping[str, Json]) -> list[Any]:
    """Make the values of a column or an index."""
    return FAMILIES[detail["family"]].decode(cells)


def to_index(array: Array, name: Any = None) -> Any:
    """Return *array* as an index of the same dtype."""
    return pd.Index(array, dtype=array.dtype, name=name, tupleize_cols=False)


def _remedy(dtype: str) -> str:
    for word, remedy in _REMEDIES.items():
        if word in dtype:
            return remedy
    return "{column} = {column}.astype(object)"


_REMEDIES = {
    "Sparse": "{column} = {column}.sparse.to_dense()",
    "complex": "keep its real and its imaginary part in two columns",
    "float": "{column} = {column}.astype('float64')",
}

_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_NUMPY = _INTEGERS | {"bool", "float16", "float32", "float64"}
_MASKED = {name.replace("u", "U").replace("i", "I") for name in _INTEGERS} | {"boolean", "Float32", "Float64"}


def _is_numpy(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.name in _NUMPY


def _is_kind(kind: str) -> Callable[[Any], bool]:
    return lambda dtype: isinstance(dtype, np.dtype) and dtype.kind == kind


def _is_datetime(dtype: Any) -> bool:
    return isinstance(dtype, pd.DatetimeTZDtype) or _is_kind("M")(dtype)


def _describe_nothing(_: Values) -> dict[str, Json]:
    return {}


def _build_numpy(values: list[Any], dtype: str, _: Mapping[str, Json]) -> Array:
    return np.array(values, dtype=dtype)


def _build_object(values: list[Any], _dtype: str, _detail: Mapping[str, Json]) -> Array:
    return build_object_array(values)


def _build_masked(values: list[Any], dtype: str, _: Mapping[str, Json]) -> Array:
    kind: Any = pd.api.types.pandas_dtype(dtype)
    mask = np.array([value is pd.NA for value in values], dtype=bool)
    filled = np.array([0 if value is pd.NA else value for value in values], dtype=kind.numpy_dtype)
    return kind.construct_array_type()(filled, mask)


def _build_ticks(values: list[Any], dtype: str) -> Array:
    return np.array([count_ticks(value) for value in values], dtype="i8").view(dtype)


def _describe_datetime(values: Values) -> dict[str, Json]:
    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"unit": dtype.unit, "zone": encode_zone(dtype.tz)}
    return {"unit": np.datetime_data(dtype)[0], "zone": None}


def _build_datetime(values: list[Any], _: str, detail: Mapping[str, Json]) -> Array:
    index = pd.DatetimeIndex(_build_ticks(values, f"M8[{detail['unit']}]"))
    if detail["zone"] is None:
        return index.array
    return index.tz_localize("UTC").tz_convert(decode_zone(detail["zone"])).array


def _build_timedelta(values: list[Any], dtype: str, _: Mapping[str, Json]) -> Array:
    return pd.TimedeltaIndex(_build_ticks(values, dtype)).array


def _describe_string(values: Values) -> dict[str, Json]:
    return {"storage": values.dtype.storage, "missing": str(values.dtype.na_value)}


def _build_string(values: list[Any], _: str, detail: Mapping[str, Json]) -> Array:
    make: Any = pd.StringDtype
    missing = {"na_value": np.nan} if detail["missing"] == "nan" else {}
    return pd.array(values, dtype=make(detail["storage"], **missing))


def _describe_category(values: Values) -> dict[str, Json]:
    categories = values.dtype.categories
    cells = [encode_value(category) for category in categories.tolist()]
    return {"ordered": values.dtype.ordered, "categories": describe_part(categories), "cells": cells}


def _build_category(values: list[Any], _: str, detail: Mapping[str, Json]) -> Array:
    inner = detail["categories"]
    categories = [decode_value(cell) for cell in detail["cells"]]
    codes = {category: code for code, category in enumerate(categories)}
    dtype = pd.CategoricalDtype(to_index(build_array(categories, **inner)), ordered=detail["ordered"])
    return pd.Categorical.from_codes([codes.get(value, -1) for value in values], dtype=dtype)


def _build_period(values: list[Any], dtype: str, _: Mapping[str, Json]) -> Array:
    kind: Any = pd.api.types.pandas_dtype(dtype)
    return pd.array(values, dtype=kind)


def _describe_interval(values: Values) -> dict[str, Json]:
    return {"closed": values.dtype.closed, "ends": describe_part(values.array.left)}


def _build_interval(values: list[Any], _: str, detail: Mapping[str, Json]) -> Array:
    ends = detail["ends"]
    missing: Any = np.nan if ends["detail"]["family"] == "numpy" else pd.NaT
    left = [value.left if isinstance(value, pd.Interval) else missing for value in values]
    right = [value.right if isinstance(value, pd.Interval) else missing for value in values]
    return pd.arrays.IntervalArray.from_arrays(
        to_index(build_array(left, **ends)), to_index(build_array(right, **ends)), closed=detail["closed"]
    )


def _describe_geometry(values: Values) -> dict[str, Json]:
    return {"crs": geometry.encode_crs(values.array.crs)}


def _build_geometry(values: list[Any], _: str, detail: Mapping[str, Json]) -> Array:
    return geometry.build_geometry_array(values, detail["crs"])


FAMILIES = {
    "numpy": Family(has=_is_numpy, describe=_describe_nothing, build=_build_numpy),
    "object": Family(has=_is_kind("O"), describe=_describe_nothing, build=_build_object),
    "datetime": Family(has=_is_datetime, describe=_describe_datetime, build=_build_datetime),
    "timedelta": Family(has=_is_kind("m"), describe=_describe_nothing, build=_build_timedelta),
    "masked": Family(
        has=lambda dtype: dtype.name in _MASKED, describe=_describe_nothing, build=_build_masked
    ),
    "string": Family(
        has=lambda dtype: isinstance(dtype, pd.StringDtype), describe=_describe_string, build=_build_string
    ),
    "category": Family(
        has=lambda dtype: isinstance(dtype, pd.CategoricalDtype),
        describe=_describe_category,
        build=_build_category,
    ),
    "period": Family(
        has=lambda dtype: isinstance(dtype, pd.PeriodDtype), describe=_describe_nothing, build=_build_period
    ),
    "interval": Family(
        has=lambda dtype: isinstance(dtype, pd.IntervalDtype),
        describe=_describe_interval,
        build=_build_interval,
    ),
    "geometry": Family(
        has=lambda dtype: str(dtype) == "geometry",
        describe=_describe_geometry,
        build=_build_geometry,
        encode=lambda values: geometry.encode_geometries(values.tolist()),
        decode=geometry.decode_geometries,
    ),
}
