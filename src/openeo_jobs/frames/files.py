"""Campaigns in files: those that openEO's own manager wrote, and our mirrors."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from openeo_jobs.errors import MirrorError
from openeo_jobs.frames import geometry
from openeo_jobs.frames.names import OUTPUT_COLUMNS
from openeo_jobs.frames.output import csv_bytes, output_frame
from openeo_jobs.jobs import Campaign, Job

PARQUET_SUFFIXES = (".parquet", ".geoparquet")
_DTYPES = {name: "float64" if name == "costs" else "object" for name in OUTPUT_COLUMNS}


def read_campaign_file(path: Path) -> Any:
    """Read a CSV or Parquet file as upstream's `CsvJobDatabase` and `ParquetJobDatabase` do.

    In a CSV the documented columns are text, but for `costs`, and a column `geometry` that holds WKT is made
    geometries. Raises `MirrorError` for a file that is torn, empty, or something else; it stays as it is.
    """
    try:
        frame = _read_parquet(path) if is_parquet(path) else _read_csv(path)
        _check_is_campaign(frame)
        return frame
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise MirrorError(
            f"{path} cannot be taken over: {str(error).strip()}. It was left as it is; mend it, or put back "
            "a copy that is whole"
        ) from error


def mirror_bytes(path: Path, campaign: Campaign, jobs: Iterable[Job]) -> bytes:
    """Return what the mirror at *path* is to hold: Parquet where its name says so, else CSV."""
    return _parquet_bytes(campaign, jobs) if is_parquet(path) else csv_bytes(campaign, jobs)


def is_parquet(path: Path) -> bool:
    """Say whether a file is Parquet, by its name."""
    return path.suffix.lower() in PARQUET_SUFFIXES


def _read_csv(path: Path) -> Any:
    _check_is_whole(path)
    return _with_geometries(pd.read_csv(path, dtype=_DTYPES, float_precision="round_trip"))


def _read_parquet(path: Path) -> Any:
    import pyarrow.parquet

    is_geo = b"geo" in (pyarrow.parquet.read_metadata(path).metadata or {})
    frame = geometry.read_geo_parquet(path) if is_geo else pd.read_parquet(path)
    return frame.assign(**{name: frame[name].map(_to_lists) for name in frame.select_dtypes(object).columns})


def _to_lists(cell: Any) -> Any:
    """Return a cell of Parquet, which knows lists as arrays, as it was before."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    return [_to_lists(item) for item in cell] if isinstance(cell, list) else cell


def _check_is_whole(path: Path) -> None:
    """Raise `ValueError` for a file that ends in the middle of a line: its writer was killed."""
    content = path.read_bytes()
    if not content.strip():
        raise ValueError("it is empty")
    if b"\0" in content:
        raise ValueError("it is no text")
    if not content.endswith((b"\n", b"\r")):
        line = content.count(b"\n") + 1
        raise ValueError(f"it ends in the middle of line {line}, as if its writer had been killed")


def _check_is_campaign(frame: pd.DataFrame) -> None:
    missing = [name for name in ("id", "backend_name", "status") if name not in frame.columns]
    if missing:
        names = ", ".join(map(str, frame.columns[:5]))
        raise ValueError(
            f"it has no column {', '.join(missing)}, so no job manager wrote it, or a spreadsheet has put "
            f"something else than commas between the columns (they are: {names})"
        )
    if frame.empty:
        raise ValueError("it has no rows")


def _with_geometries(frame: pd.DataFrame) -> Any:
    texts = frame["geometry"] if "geometry" in frame.columns else pd.Series(dtype=object)
    if texts.empty or not geometry.is_wkt(texts.iloc[0]):
        return frame
    return geometry.make_geo_frame(frame, "geometry")


def _parquet_bytes(campaign: Campaign, jobs: Iterable[Job]) -> bytes:
    """Write the output as upstream's `ParquetJobDatabase` does; what Arrow has no type for is text."""
    frame = output_frame(campaign, jobs)
    content = io.BytesIO()
    geometry.plain_unless_geo(frame.assign(**_as_text_for_arrow(frame))).to_parquet(content, index=False)
    return content.getvalue()


def _as_text_for_arrow(frame: pd.DataFrame) -> dict[str, Any]:
    import pyarrow

    texts = {}
    for name in frame.select_dtypes(object).columns:
        try:
            pyarrow.array(frame[name], from_pandas=True)
        except pyarrow.ArrowException:
            texts[str(name)] = frame[name].map(str, na_action="ignore")
    return texts
