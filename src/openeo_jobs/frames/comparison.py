"""How a dataframe compares with the rows that a campaign already has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from openeo_jobs.frames.columns import describe_column, encode_cells
from openeo_jobs.frames.fitting import LEAD, fit_frame, list_own_columns
from openeo_jobs.frames.matching import match, plain_cell, plain_text
from openeo_jobs.frames.refusal import RefusedError, raise_problems
from openeo_jobs.frames.table import encode_table
from openeo_jobs.frames.tracked import is_in_progress
from openeo_jobs.frames.values import Json
from openeo_jobs.jobs import Campaign, Job
from openeo_jobs.tables import Change, Merge, NewColumn, NewJob, dump_cells, priority_of

Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a dataframe has that a campaign has not, and the other way round."""

    campaign: Campaign
    columns: tuple[NewColumn, ...]
    new: tuple[NewJob, ...]
    changed: Mapping[int, Change]
    """What differs in rows of the campaign, by number; cells of new columns as well."""
    missing: tuple[Job, ...]
    """Rows that the dataframe has not."""

    @property
    def is_same(self) -> bool:
        """Say whether both hold the same rows."""
        return not (self.has_more or self.missing)

    @property
    def has_more(self) -> bool:
        """Say whether the dataframe has something that the campaign has not."""
        return bool(self.columns or self.new or self.changed)

    def find_changed(self) -> list[int]:
        """Return the numbers of the rows of which cells, or the pin, differ."""
        return sorted(number for number, change in self.changed.items() if self._is_of_known(change))

    def describe(self) -> str:
        """Say how the dataframe differs."""
        names = ", ".join(repr(new.column.name) for new in self.columns)
        parts = [
            f"its columns {names} are not in the campaign" if names else "",
            _count([row.params for row in self.new], "of its rows are not in the campaign"),
            _count([f"row {number}" for number in self.find_changed()], "of its rows have other cells"),
            _count([job.params for job in self.missing], "of the campaign's rows are not in it"),
        ]
        return "; ".join(part for part in parts if part)

    def merge(self, *, changes_rows: bool) -> Merge:
        """Return what adds the new rows and columns, and, if it *changes_rows*, cells that differ."""
        changed = self.changed if changes_rows else self._only_new_cells()
        known = len(self.campaign.columns)
        return Merge(known=known, columns=self.columns, new=self.new, changed=changed)

    def _is_of_known(self, change: Change) -> bool:
        return change.is_pinned_anew or any(place < len(self.campaign.columns) for place in change.cells)

    def _only_new_cells(self) -> dict[int, Change]:
        known = len(self.campaign.columns)
        cut = {
            number: Change(cells={place: cell for place, cell in change.cells.items() if place >= known})
            for number, change in self.changed.items()
        }
        return {number: change for number, change in cut.items() if change.cells}


def compare(
    df: pd.DataFrame, campaign: Campaign, jobs: Sequence[Job], *, key: Sequence[str] | None = None
) -> Comparison:
    """Compare *df*, brought to the stored dtypes, with the rows of a campaign, in any order.

    Two rows are one if their cells in the *key* columns are equal; without a *key*, all of the campaign's own
    columns are it, and of equal rows each counts. In a campaign that was taken over from a file, cells are
    equal if they are after that file has held them. Raises `FrameError` where *df* does not fit, or where the
    key does not tell rows apart.
    """
    names = [column.name for column in campaign.columns]
    extra = [name for name in list_own_columns(df) if name not in names]
    rows = encode_table(fit_frame(df.drop(columns=extra), campaign, jobs)).jobs
    found = _match(df, rows, campaign, jobs, key)
    matches = {i: jobs[place] for i, place in enumerate(found) if place is not None}
    columns, more = encode_new_columns(df, extra)
    has_pins = not is_in_progress(df) and any(name.casefold() == "backend_name" for name in df.columns)
    changed = {
        job.number: _compare_row(rows[i], job, campaign, more[i], has_pins=has_pins)
        for i, job in matches.items()
    }
    known = {job.number for job in matches.values()}
    return Comparison(
        campaign=campaign,
        columns=columns,
        new=tuple(
            _lengthen(row, more[i], campaign, columns) for i, row in enumerate(rows) if i not in matches
        ),
        changed={number: change for number, change in changed.items() if change != Change()},
        missing=tuple(job for job in jobs if job.number not in known),
    )


def cells_of(params: str, places: Sequence[int] | None = None) -> Cells:
    """Return all or some cells of a row as text that is equal where they are; what is missing is alike."""
    cells = json.loads(params)
    chosen = cells if places is None else [cells[place] for place in places]
    return tuple(dump_cells(_blank(cell)) for cell in chosen)


def plain_cells_of(params: str, places: Sequence[int] | None = None) -> tuple[Any, ...]:
    """Return all or some cells of a row as they are after a file has held them."""
    cells = json.loads(params)
    return tuple(plain_cell(cell) for cell in (cells if places is None else [cells[i] for i in places]))


def texts_of(params: str) -> tuple[Any, ...]:
    """Return the cells of a row as a file shows them to whoever does not know the dtypes."""
    cells = json.loads(params)
    return tuple(plain_text(cell) if isinstance(cell, str) else plain_cell(cell) for cell in cells)


def encode_new_columns(
    df: pd.DataFrame, names: Sequence[str]
) -> tuple[tuple[NewColumn, ...], list[list[Json]]]:
    """Encode columns that a campaign has not; return them, and their cells row by row.

    Their dtype is one that can be missing, as rows of the campaign may have no cell there.
    """
    columns, cells = [], []
    for name in names:
        series = df[name].reset_index(drop=True).reindex([*range(len(df)), -1])
        try:
            column = describe_column(series, name)
            *known, missing = encode_cells(series, column.detail)
        except RefusedError as refusal:
            where, place, labels = f"column {name!r}", f"df[{name!r}]", [*df.index, None]
            raise_problems([refusal.describe(where=where, column=place, labels=labels)], lead=LEAD)
            raise
        columns.append(NewColumn(column=column, missing=missing))
        cells.append(known)
    return tuple(columns), [list(row) for row in zip(*cells, strict=True)] if names else [
        [] for _ in df.index
    ]


def find_changes(row: str, job: Job, read: Callable[[str], tuple[Any, ...]] = cells_of) -> dict[int, Json]:
    """Return the cells of *row* that *read* otherwise than the job's, by the position of their column."""
    cells, places = json.loads(row), enumerate(zip(read(job.params), read(row), strict=True))
    return {i: cells[i] for i, (old, new) in places if old != new}


def _blank(cell: Json) -> Json:
    return None if isinstance(cell, dict) and "$" in cell and cell.get("text") is None else cell


def _match(
    df: pd.DataFrame,
    rows: Sequence[NewJob],
    campaign: Campaign,
    jobs: Sequence[Job],
    key: Sequence[str] | None,
) -> list[int | None]:
    places = _find_places([column.name for column in campaign.columns], key)
    keys = [cells_of(row.params, places) for row in rows]
    known = [cells_of(job.params, places) for job in jobs]
    if key is not None:
        raise_problems([*_find_ambiguous(df, keys, known, jobs)], lead=LEAD)
    passes: list[tuple[Any, Any]] = [(keys, known)]
    if campaign.taken_over_from is not None:
        plain = [plain_cells_of(row.params, places) for row in rows]
        passes.append((plain, [plain_cells_of(job.params, places) for job in jobs]))
    return match(passes, len(rows))


def _find_places(names: Sequence[str], key: Sequence[str] | None) -> list[int]:
    if key is None:
        return list(range(len(names)))
    chosen = [key] if isinstance(key, str) else list(key)
    columns = ", ".join(names)
    problems = [
        f"key names {one!r}, which is no column of the campaign ({columns})"
        for one in chosen
        if one not in names
    ]
    raise_problems(problems if chosen else ["key names no column"], lead=LEAD)
    return [names.index(one) for one in chosen]


def _find_ambiguous(
    df: pd.DataFrame, keys: Sequence[Cells], known: Sequence[Cells], jobs: Sequence[Job]
) -> Iterator[str]:
    first: dict[Cells, object] = {}
    numbers: dict[Cells, list[int]] = {}
    for job, key in zip(jobs, known, strict=True):
        numbers.setdefault(key, []).append(job.number)
    for label, key in zip(df.index.tolist(), keys, strict=True):
        if key in first:
            yield f"rows {first[key]!r} and {label!r} have the same key ({', '.join(key)})"
        first.setdefault(key, label)
        if len(same := numbers.get(key, [])) > 1:
            rows = ", ".join(map(str, same))
            yield f"row {label!r} has the key ({', '.join(key)}) of the rows {rows}; add columns to it"


def _compare_row(
    row: NewJob, job: Job, campaign: Campaign, more: Sequence[Json], *, has_pins: bool
) -> Change:
    known = len(campaign.columns)
    cells = find_changes(row.params, job, cells_of if campaign.taken_over_from is None else plain_cells_of)
    cells |= {known + i: cell for i, cell in enumerate(more)}
    is_pinned_anew = has_pins and row.pinned_backend != job.pinned_backend
    pin = row.pinned_backend if is_pinned_anew else None
    return Change(cells=cells, is_pinned_anew=is_pinned_anew, pinned_backend=pin)


def _lengthen(row: NewJob, more: Sequence[Json], campaign: Campaign, columns: Sequence[NewColumn]) -> NewJob:
    cells = [*json.loads(row.params), *more]
    all_columns = [*campaign.columns, *(new.column for new in columns)]
    return replace(row, params=dump_cells(cells), priority=priority_of(cells, all_columns))


def _count(examples: Sequence[str], what: str) -> str:
    return f"{len(examples)} {what}, such as {examples[0]}" if examples else ""
