"""Bring a dataframe to the columns, the dtypes and the index of a campaign: what is stored wins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from openeo_jobs.frames import geometry
from openeo_jobs.frames.columns import Array, build_array, describe_column, to_index
from openeo_jobs.frames.matching import is_missing_text
from openeo_jobs.frames.names import check_shape, find_columns_beside, find_own_columns
from openeo_jobs.frames.refusal import RefusedError, raise_problems
from openeo_jobs.frames.rows import decode_frame
from openeo_jobs.frames.tracked import find_usage_columns, is_in_progress
from openeo_jobs.jobs import Campaign, Column, Job

LEAD = "this dataframe does not fit the campaign"
_REMEDY = "{column} = {column}.astype({dtype!r}), or mend the cell"


def list_own_columns(df: pd.DataFrame) -> list[str]:
    """Return the columns of *df* that are the user's own."""
    check_shape(df)
    return find_columns_beside(df, find_usage_columns(df)) if is_in_progress(df) else find_own_columns(df)


def fit_frame(df: pd.DataFrame, campaign: Campaign, jobs: Iterable[Job]) -> Any:
    """Return *df* with the campaign's columns first, in their order and dtypes, then its other columns.

    Its index gets the dtype of the campaign's, too. Raises `FrameError` that names columns and rows.
    """
    stored = decode_frame(campaign, jobs)
    fitted = fit_columns(df, campaign, stored)
    others = {name: df[name].array for name in df.columns if name not in fitted}
    series = {name: pd.Series(array, dtype=array.dtype) for name, array in {**fitted, **others}.items()}
    frame = pd.DataFrame(series, index=pd.RangeIndex(len(df)))
    if campaign.index.detail["geo"]:
        frame = geometry.build_geo_frame(frame, campaign.geometry)
    frame.index = fit_index(df.index, campaign, stored)
    return frame


def fit_columns(df: pd.DataFrame, campaign: Campaign, stored: pd.DataFrame) -> dict[str, Array]:
    """Return the campaign's columns of *df*, each as an array of the stored dtype.

    A cell fits if it means the same in that dtype: 2020.0 is 2020, but 2020.5 is not. In a column that holds
    nothing but text in *stored*, values become the text that a CSV has for them.
    """
    raise_problems(
        [f"it has no column {column.name!r}" for column in campaign.columns if column.name not in df.columns],
        lead=LEAD,
    )
    problems: list[str] = []
    fitted = {}
    for column in campaign.columns:
        try:
            fitted[column.name] = _fit(df[column.name], column, stored[column.name])
        except RefusedError as refusal:
            where, place = f"column {column.name!r}", f"df[{column.name!r}]"
            problems.append(refusal.describe(where=where, column=place, labels=df.index.tolist()))
    raise_problems(problems, lead=LEAD)
    return fitted


def fit_index(index: pd.Index[Any], campaign: Campaign, stored: pd.DataFrame) -> pd.Index[Any]:
    """Return *index* in the dtype of the campaign's, and under its name."""
    try:
        fitted = _fit(pd.Series(index.array), campaign.index, pd.Series(stored.index.array))
    except RefusedError as refusal:
        problem = refusal.describe(where="the index", column="df.index", labels=index.tolist())
        raise_problems([problem], lead=LEAD)
        raise
    made: pd.Index[Any] = to_index(fitted, stored.index.name)
    return made


def _fit(given: pd.Series[Any], column: Column, stored: pd.Series[Any]) -> Any:
    """Return the cells of *given* as an array of the dtype of *column*, or refuse one of them."""
    family = column.detail["family"]
    if family == "geometry":
        return _fit_geometries(given, column)
    if family in ("object", "string") and pd.api.types.infer_dtype(stored, skipna=True) == "string":
        given = _as_text(given)
    if family == "object":
        return given.astype(object).array
    dtype = build_array([], column.dtype, column.detail).dtype
    if given.dtype == dtype:
        return given.array
    return _cast(given, dtype).array


def _as_text(given: pd.Series[Any]) -> pd.Series[Any]:
    """Return the texts that a CSV would have; what is missing stays missing."""
    if pd.api.types.infer_dtype(given, skipna=True) in ("string", "empty"):
        return given
    texts = given.astype(str)
    return given.astype(object).where(given.isna() | given.map(_is_text), texts)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _cast(given: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    if pd.api.types.infer_dtype(given, skipna=True) == "string":
        given = given.astype(object).mask(given.map(is_missing_text), None)
    if given.dtype in ("float16", "float32"):
        given = given.astype(str).astype("float64")  # 0.1, not 0.10000000149
    try:
        cast = given.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        cast = None
    cells = given.tolist()
    if cast is not None and all(map(_means_the_same, cells, cast.tolist())):
        return cast
    position = next((i for i, cell in enumerate(cells) if not _can_cast(cell, dtype)), 0)
    raise RefusedError(
        f"{cells[position]!r} does not fit the dtype {dtype} that is stored",
        _REMEDY.replace("{dtype!r}", repr(str(dtype))),
        position=position,
    )


def _can_cast(cell: Any, dtype: Any) -> bool:
    try:
        cast = pd.Series([cell], dtype=object).astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return False
    return _means_the_same(cell, cast.iloc[0])


def _means_the_same(old: Any, new: Any) -> bool:
    if pd.api.types.is_scalar(old) and pd.isna(old):
        return bool(pd.isna(new))
    if pd.isna(new):
        return False
    if isinstance(old, str) and not isinstance(new, str):
        return not isinstance(new, bool) or str(new) == old
    return bool(old == new)


def _fit_geometries(given: pd.Series[Any], column: Column) -> Any:
    """Return geometries; where one side has no coordinate reference system, it is that of the other."""
    stored = column.detail["crs"]
    described = describe_column(given)
    found = described.detail.get("crs")
    if stored is not None and found is not None and found != stored:
        raise RefusedError(f"its geometries are in {found}, those of the campaign in {stored}",
                           f"df = df.to_crs({stored!r})")  # fmt: skip
    for position, value in enumerate(given.tolist()):
        if value is not None and not geometry.is_geometry(value):
            remedy = "{column} = geopandas.GeoSeries.from_wkt({column})"
            raise RefusedError(f"{value!r} is no geometry", remedy, position=position)
    return geometry.build_geometry_array(given.tolist(), stored)
