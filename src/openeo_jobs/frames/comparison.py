"""How a dataframe compares with the rows that a campaign already has."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from openeo_jobs.frames.columns import describe_column, encode_cells
from openeo_jobs.frames.fitting import LEAD, fit_frame, list_own_columns
from openeo_jobs.frames.refusal import RefusedError, raise_problems
from openeo_jobs.frames.table import encode_table
from openeo_jobs.frames.values import Json, dump_json
from openeo_jobs.jobs import Campaign, Column, Job
from openeo_jobs.tables import Merge, NewJob

Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a dataframe has that a campaign has not, and the other way round."""

    columns: tuple[Column, ...]
    """Those of the campaign, then those that only the dataframe has."""
    extended: Mapping[int, NewJob]
    """The rows of the campaign with cells for those columns, by number; empty where there are none."""
    new: tuple[NewJob, ...]
    changed: Mapping[int, NewJob]
    """Rows of which the dataframe has other cells, or another backend, by number."""
    missing: tuple[Job, ...]
    """Rows that the dataframe has not."""

    @property
    def is_same(self) -> bool:
        """Say whether both hold the same rows."""
        return not (self.extended or self.new or self.changed or self.missing)

    @property
    def has_more(self) -> bool:
        """Say whether the dataframe has something that the campaign has not."""
        return bool(self.extended or self.new or self.changed)

    def describe(self, campaign: Campaign) -> str:
        """Say how the dataframe differs."""
        names = [column.name for column in self.columns[len(campaign.columns) :]]
        parts = [
            f"its columns {', '.join(map(repr, names))} are not in the campaign" if names else "",
            _count(len(self.new), "of its rows are not in the campaign", self.new),
            _count(len(self.changed), "of its rows have other cells", [*self.changed.values()]),
            _count(len(self.missing), "of the campaign's rows are not in it", self.missing),
        ]
        return "; ".join(part for part in parts if part)

    def merge(self, may_change: Callable[[int], bool] = lambda number: False) -> Merge:
        """Return what adds the new rows and columns, and changes the rows that *may_change*."""
        changed = {number: row for number, row in self.changed.items() if may_change(number)}
        return Merge(columns=self.columns, new=self.new, changed={**self.extended, **changed})


def compare(
    df: pd.DataFrame, campaign: Campaign, jobs: Sequence[Job], *, key: Sequence[str] | None = None
) -> Comparison:
    """Compare *df*, brought to the stored dtypes, with the rows of a campaign, in any order.

    Two rows are one if their cells in the *key* columns are equal; without a *key*, all of the campaign's own
    columns are it, and of equal rows each counts. Raises `FrameError` where *df* does not fit, or where the
    key does not tell rows apart.
    """
    names = [column.name for column in campaign.columns]
    extra_names = [name for name in list_own_columns(df) if name not in names]
    table = encode_table(fit_frame(df.drop(columns=extra_names), campaign, jobs))
    matches = _match(df, table.jobs, jobs, _find_places(names, key), is_unique=key is not None)
    rows = {job.number: table.jobs[i] for i, job in matches.items()}
    news: Sequence[NewJob] = [row for i, row in enumerate(table.jobs) if i not in matches]
    extras: Sequence[Column] = ()
    extended: Mapping[int, NewJob] = {}
    if extra_names:
        extras, extended, news = _extend(df, extra_names, jobs, matches, news)
    has_pins = any(name.casefold() == "backend_name" for name in df.columns)
    return Comparison(
        columns=(*campaign.columns, *extras),
        extended=extended,
        new=tuple(news),
        changed={
            job.number: _fill(rows[job.number], job, extended.get(job.number), has_pins=has_pins)
            for job in jobs
            if job.number in rows and _differs(rows[job.number], job, has_pins=has_pins)
        },
        missing=tuple(job for job in jobs if job.number not in rows),
    )


def cells_of(params: str, places: Sequence[int] | None = None) -> Cells:
    """Return all or some cells of a row as text that is equal where they are; what is missing is alike."""
    cells = json.loads(params)
    chosen = cells if places is None else [cells[place] for place in places]
    return tuple(dump_json(_blank(cell)) for cell in chosen)


def _blank(cell: Json) -> Json:
    return None if isinstance(cell, dict) and "$" in cell and cell.get("text") is None else cell


def _find_places(names: Sequence[str], key: Sequence[str] | None) -> list[int]:
    if key is None:
        return list(range(len(names)))
    chosen = [key] if isinstance(key, str) else list(key)
    columns = ", ".join(names)
    problems = [f"key names {one!r}, which is no column of the campaign ({columns})"
                for one in chosen if one not in names]  # fmt: skip
    raise_problems(problems if chosen else ["key names no column"], lead=LEAD)
    return [names.index(one) for one in chosen]


def _match(
    df: pd.DataFrame, rows: Sequence[NewJob], jobs: Sequence[Job], places: Sequence[int], *, is_unique: bool
) -> dict[int, Job]:
    """Return the job of each row, by its position; new rows are left out."""
    waiting: dict[Cells, deque[Job]] = defaultdict(deque)
    for job in jobs:
        waiting[cells_of(job.params, places)].append(job)
    keys = [cells_of(row.params, places) for row in rows]
    if is_unique:
        raise_problems([*_find_ambiguous(df, keys, waiting)], lead=LEAD)
    return {i: waiting[key].popleft() for i, key in enumerate(keys) if waiting[key]}


def _find_ambiguous(
    df: pd.DataFrame, keys: Sequence[Cells], waiting: Mapping[Cells, Sequence[Job]]
) -> Iterator[str]:
    first: dict[Cells, object] = {}
    for label, key in zip(df.index.tolist(), keys, strict=True):
        if key in first:
            yield f"rows {first[key]!r} and {label!r} have the same key ({', '.join(key)})"
        first.setdefault(key, label)
        if len(known := waiting.get(key, ())) > 1:
            numbers = ", ".join(str(job.number) for job in known)
            yield f"row {label!r} has the key ({', '.join(key)}) of the rows {numbers}; add columns to it"


def encode_new_columns(
    df: pd.DataFrame, names: Sequence[str], order: Sequence[int]
) -> tuple[list[Column], list[list[Json]]]:
    """Encode columns that a campaign has not; return them, and their cells row by row.

    *order* has, for every row of the campaign then, its position in *df*; -1: it has no cell there.
    """
    columns, cells = [], []
    for name in names:
        series = df[name].reset_index(drop=True).reindex(list(order))
        try:
            column = describe_column(series, name)
            cells.append(encode_cells(series, column.detail))
        except RefusedError as refusal:
            place, labels = f"df[{name!r}]", series.index.tolist()
            raise_problems(
                [refusal.describe(where=f"column {name!r}", column=place, labels=labels)], lead=LEAD
            )
        columns.append(column)
    return columns, [list(row) for row in zip(*cells, strict=True)]


def append_cells(params: str, more: Sequence[Json]) -> str:
    """Return the cells of a row with *more* behind them."""
    return dump_json([*json.loads(params), *more])


def as_new(job: Job, **values: Any) -> NewJob:
    """Return a row of the campaign as it is, but for *values*."""
    known = {
        "params": job.params,
        "index_label": job.index_label,
        "pinned_backend": job.pinned_backend,
        "priority": job.priority,
    }
    return NewJob(**{**known, **values})


def _extend(
    df: pd.DataFrame,
    names: Sequence[str],
    jobs: Sequence[Job],
    matches: Mapping[int, Job],
    news: Sequence[NewJob],
) -> tuple[list[Column], dict[int, NewJob], list[NewJob]]:
    """Return the columns *names*, and with their cells the rows of the campaign and the new ones."""
    positions = {job.number: i for i, job in matches.items()}
    order = [
        *(positions.get(job.number, -1) for job in jobs),
        *(i for i in range(len(df)) if i not in matches),
    ]
    columns, cells = encode_new_columns(df, names, order)
    of_jobs, of_news = cells[: len(jobs)], cells[len(jobs) :]
    extended = {
        job.number: as_new(job, params=append_cells(job.params, more))
        for job, more in zip(jobs, of_jobs, strict=True)
    }
    longer = [
        replace(row, params=append_cells(row.params, more)) for row, more in zip(news, of_news, strict=True)
    ]
    return columns, extended, longer


def _differs(row: NewJob, job: Job, *, has_pins: bool) -> bool:
    is_pinned_elsewhere = has_pins and row.pinned_backend != job.pinned_backend
    return is_pinned_elsewhere or cells_of(row.params) != cells_of(job.params)


def _fill(row: NewJob, job: Job, extended: NewJob | None, *, has_pins: bool) -> NewJob:
    """Return *row* with the cells of new columns, and with the pin of *job* where it says nothing of that."""
    known = len(json.loads(job.params))
    more = json.loads(extended.params)[known:] if extended is not None else []
    pin = row.pinned_backend if has_pins else job.pinned_backend
    return replace(row, params=append_cells(row.params, more), pinned_backend=pin)


def _count(number: int, what: str, rows: Sequence[NewJob | Job]) -> str:
    return f"{number} {what}, such as {rows[0].params}" if number else ""
