"""Files that openEO's own manager wrote, as dataframes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from openeo_jobs.errors import MirrorError
from openeo_jobs.frames import geometry
from openeo_jobs.frames.names import OUTPUT_COLUMNS

_DTYPES = {name: "float64" if name == "costs" else "object" for name in OUTPUT_COLUMNS}


def read_csv(path: Path) -> Any:
    """Read a CSV as upstream's `CsvJobDatabase` does, so that `start_job` sees what it saw there.

    The documented columns are text, but for `costs`; a column `geometry` that holds WKT is made geometries.
    Raises `MirrorError` for a file that is torn, empty, or something else; it stays as it is.
    """
    try:
        _check_is_whole(path)
        frame = pd.read_csv(path, dtype=_DTYPES)
        _check_is_campaign(frame)
        return _with_geometries(frame)
    except (ValueError, pd.errors.ParserError) as error:
        raise MirrorError(
            f"{path} cannot be taken over: {str(error).strip()}. It was left as it is; mend it, or put back "
            "a copy that is whole"
        ) from error


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
        raise ValueError(f"it has no column {', '.join(missing)}, so no job manager wrote it")
    if frame.empty:
        raise ValueError("it has no rows")


def _with_geometries(frame: pd.DataFrame) -> Any:
    texts = frame["geometry"] if "geometry" in frame.columns else pd.Series(dtype=object)
    if texts.empty or not geometry.is_wkt(texts.iloc[0]):
        return frame
    return geometry.make_geo_frame(frame, "geometry")
