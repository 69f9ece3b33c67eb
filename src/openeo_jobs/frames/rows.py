"""The stored rows of a campaign as a dataframe, and one of them as the Series that callbacks get."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from openeo_jobs.frames import geometry
from openeo_jobs.frames.arrays import build_object_array
from openeo_jobs.frames.axes import build_axis
from openeo_jobs.frames.columns import Array, build_array, decode_cells
from openeo_jobs.frames.names import OUTPUT_COLUMNS
from openeo_jobs.frames.values import decode_value
from openeo_jobs.jobs import Attempt, Campaign, Column, Job
from openeo_jobs.status import upstream_word


def decode_frame(campaign: Campaign, jobs: Iterable[Job]) -> pd.DataFrame:
    """Make the user's dataframe again, or what of it *jobs* are: values, dtypes, index."""
    jobs = list(jobs)
    frame: pd.DataFrame = build_frame(campaign, jobs, decode_columns(campaign, jobs))
    names = campaign.index.detail["columns"]
    frame.columns = build_axis(list(frame.columns), **names)
    return frame


def decode_columns(campaign: Campaign, jobs: Iterable[Job]) -> dict[str, Array]:
    """Make the user's columns of some jobs, each as an array of its dtype."""
    rows = _load_all(job.params for job in jobs)
    columns = zip(*rows, strict=True) if rows else ([] for _ in campaign.columns)
    return {
        column.name: build_array(decode_cells(cells, column.detail), column.dtype, column.detail)
        for column, cells in zip(campaign.columns, columns, strict=True)
    }


def build_frame(campaign: Campaign, jobs: Iterable[Job], columns: Mapping[str, Array]) -> Any:
    """Put *columns* on the index of these jobs, in a GeoDataFrame if the user's dataframe was one."""
    detail = campaign.index.detail
    labels = decode_cells(_load_all(job.index_label for job in jobs), detail)
    index = build_axis(labels, campaign.index.dtype, detail)
    series = {name: pd.Series(array, dtype=array.dtype, copy=False) for name, array in columns.items()}
    frame = pd.DataFrame(series, index=pd.RangeIndex(len(index)))
    if detail["geo"]:
        frame = geometry.build_geo_frame(frame, campaign.geometry)
    frame.index = index
    return frame


def decode_cells_of(columns: Sequence[Column], params: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Decode the stored cells of rows, each by the names of its columns, to Python's own scalars.

    A row that was read before somebody added a column has no cell for it yet.
    """
    names = [column.name for column in columns]
    for text in params:
        yield dict(zip(names, decode_value(json.loads(text)), strict=False))


def fits(campaign: Campaign, jobs: Sequence[Job]) -> bool:
    """Say whether these jobs, which were read together, have a cell for each column of the campaign."""
    return not jobs or len(json.loads(jobs[0].params)) == len(campaign.columns)


def to_series(job: Job, campaign: Campaign, tracked: Mapping[str, Any] | None = None) -> pd.Series[Any]:
    """Make the row that callbacks and hooks get: the user's cells, then what is *tracked* of the job.

    Its name is the index label, its dtype object, its scalars are Python's own. It is always made from what
    is stored, so that it is the same in the first run and after a restart. *tracked* is, unless given, what
    `track_values` finds.
    """
    (cells,) = decode_cells_of(campaign.columns, [job.params])
    values = {**(track_values(job) if tracked is None else tracked), **cells}
    order = [*cells, *(name for name in values if name not in cells)]
    return pd.Series(
        build_object_array([values[name] for name in order]),
        index=order,
        dtype=object,
        name=decode_value(json.loads(job.index_label)),
    )


def track_values(job: Job) -> dict[str, Any]:
    """Return the documented columns of a job in upstream's words, then further usage of its backend.

    Instants are RFC 3339 to the second, usage is text (`"1234.5 cpu-seconds"`), what is not known is None.
    """
    attempt = job.attempt
    values: dict[str, Any] = dict.fromkeys(OUTPUT_COLUMNS)
    if attempt is not None:
        values |= {name: format_usage(usage) for name, usage in attempt.usage.items()}
    return values | {
        "id": job.batch_job_id,
        "backend_name": job.backend_name,
        "status": job.user_status or upstream_word(job.status),
        **_track_attempt(attempt),
    }


def format_usage(usage: Any) -> str:
    """Write one field of a usage as upstream does."""
    if not isinstance(usage, Mapping):
        return str(usage)
    return f"{usage.get('value', 0)} {usage.get('unit', '')}".strip()


def _load_all(texts: Iterable[str]) -> list[Any]:
    loaded: list[Any] = json.loads(f"[{','.join(texts)}]")
    return loaded


def _track_attempt(attempt: Attempt | None) -> dict[str, Any]:
    if attempt is None:
        return dict.fromkeys(("start_time", "running_start_time", "costs"))
    return {
        "start_time": _format_instant(attempt.start_time),
        "running_start_time": _format_instant(attempt.running_start_time),
        "costs": attempt.costs,
    }


def _format_instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
