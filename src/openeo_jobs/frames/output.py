"""The documented output file: the user's columns, then what is tracked; as a dataframe, and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from openeo_jobs.frames.arrays import build_object_array
from openeo_jobs.frames.columns import Array
from openeo_jobs.frames.names import OUTPUT_COLUMNS
from openeo_jobs.frames.rows import build_frame, decode_columns, track_values
from openeo_jobs.jobs import Campaign, Job


def output_frame(campaign: Campaign, jobs: Iterable[Job]) -> pd.DataFrame:
    """Make the documented output: the user's columns, then `OUTPUT_COLUMNS`, then further usage fields.

    Further usage fields come in the order in which they first appear, unless a user's column has that name.
    """
    jobs = list(jobs)
    own = decode_columns(campaign, jobs)
    tracked = {name: array for name, array in _track_columns(jobs).items() if name not in own}
    frame: pd.DataFrame = build_frame(campaign, jobs, {**own, **tracked})
    return frame


def frame_by_number(campaign: Campaign, jobs: Iterable[Job]) -> pd.DataFrame:
    """Make the documented output with an index that counts the rows of the campaign from 0, sorted by it."""
    jobs = sorted(jobs, key=lambda job: job.number)
    frame = output_frame(campaign, jobs)
    frame.index = pd.Index([job.number - 1 for job in jobs], dtype="int64")
    return frame


def csv_bytes(campaign: Campaign, jobs: Iterable[Job]) -> bytes:
    """Write the output as upstream's `CsvJobDatabase` does: without the index, geometries as WKT, UTF-8."""
    frame = output_frame(campaign, jobs)
    text = frame.to_csv(index=False, lineterminator="\n")
    if "\r" in text:  # Python before 3.13 quotes a cell with it only if lines end with it
        text = frame.to_csv(index=False, lineterminator="\r\n")
    return text.encode()


def _track_columns(jobs: Sequence[Job]) -> dict[str, Array]:
    rows = [track_values(job) for job in jobs]
    names = dict.fromkeys([*OUTPUT_COLUMNS, *(name for row in rows for name in row)])
    return {name: _build_tracked(name, [row.get(name) for row in rows]) for name in names}


def _build_tracked(name: str, values: list[Any]) -> Array:
    if name == "costs":
        return np.array([np.nan if value is None else value for value in values], dtype="float64")
    return build_object_array(values)
