"""What somebody has written into a frame that was handed out: other cells, new columns, new rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from openeo_jobs.frames.columns import encode_cells
from openeo_jobs.frames.comparison import append_cells, as_new, cells_of, encode_new_columns
from openeo_jobs.frames.fitting import LEAD, fit_columns, fit_index
from openeo_jobs.frames.names import OUTPUT_COLUMNS, RESERVED_COLUMNS, check_shape
from openeo_jobs.frames.refusal import raise_problems
from openeo_jobs.frames.rows import decode_frame, track_values
from openeo_jobs.frames.table import read_priority
from openeo_jobs.frames.tracked import (
    find_problems,
    read_cell,
    read_instant,
    read_row,
    read_usage,
    read_word,
    reads_as_usage,
)
from openeo_jobs.frames.values import dump_json
from openeo_jobs.jobs import Campaign, Column, Job
from openeo_jobs.status import JobStatus
from openeo_jobs.tables import Merge, NewJob, Tracked, Written

_INSTANTS = ("start_time", "running_start_time")


@dataclass(slots=True, kw_only=True)
class Handed:
    """What was handed out: the campaign, its jobs as they were then, by number, and all of them on demand."""

    campaign: Campaign
    jobs: Mapping[int, Job]
    load_all: Callable[[], Sequence[Job]]


def find_written(df: pd.DataFrame, handed: Handed) -> tuple[Merge, list[Written]]:
    """Return what *df* adds to the campaign, and what it says in the documented columns of its rows.

    A row is the one that its label names (numbers begin at 1, labels at 0), if a cell of the user's agrees;
    the one with the same cells, if it has been given another label; else a new one. Raises `FrameError` for
    what does not fit the campaign.
    """
    check_shape(df)
    sheet = _read_sheet(df, handed)
    owners = _identify(sheet, handed)
    columns, extended, extras = _find_new_columns(df, sheet, owners, handed)
    changed: dict[int, NewJob] = dict(extended)
    written, new = [], []
    for i, job in enumerate(owners):
        params = append_cells(sheet.params[i], extras[i]) if extras else sheet.params[i]
        if job is None:
            new.append(_make_new(sheet, i, params))
            continue
        one = _compare_tracked(job, sheet.tracked[i])
        pin = job.pinned_backend
        if one.tracked.status is JobStatus.NOT_STARTED and "backend_name" in one.columns:
            pin, one = one.tracked.backend_name, replace(one, columns=one.columns - {"backend_name"})
        if pin != job.pinned_backend or cells_of(sheet.params[i]) != cells_of(job.params):
            changed[job.number] = as_new(
                job, params=params, pinned_backend=pin, priority=sheet.priorities[i] or job.priority
            )
        if one.columns:
            written.append(one)
    raise_problems([*find_problems([n.tracked for n in new if n.tracked], range(len(new)))], lead=LEAD)
    return Merge(columns=columns, new=tuple(new), changed=changed), written


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """A frame, read row by row: the user's cells, and those of the documented columns that it has."""

    labels: list[Any]
    params: list[str]
    priorities: list[float | None]
    tracked: list[dict[str, Any]]
    new_columns: list[str]
    index_labels: Callable[[Sequence[int]], list[str]] = field(repr=False)


def _read_sheet(df: pd.DataFrame, handed: Handed) -> _Sheet:
    campaign, names = handed.campaign, [column.name for column in handed.campaign.columns]
    labels = df.index.tolist()
    jobs = [job for label in labels if (job := handed.jobs.get(_number_of(label))) is not None]
    stored = decode_frame(campaign, jobs)
    own = _with_missing_columns(df, stored, jobs, names)
    fitted = fit_columns(own, campaign, stored)
    cells = [encode_cells(pd.Series(fitted[c.name]), c.detail) for c in campaign.columns]
    rows = [list(row) for row in zip(*cells, strict=True)] if cells else [[] for _ in labels]
    usage, new_columns = _sort_other_columns(df, names, jobs)
    known = [name for name in (*OUTPUT_COLUMNS, *usage) if name in df.columns and name not in names]
    priority = names.index("priority") if "priority" in names else None

    def encode_labels(positions: Sequence[int]) -> list[str]:
        index = fit_index(df.index[list(positions)], campaign, stored)
        return [dump_json(cell) for cell in encode_cells(index, campaign.index.detail)]

    return _Sheet(
        labels=labels,
        params=[dump_json(row) for row in rows],
        priorities=[None if priority is None else read_priority(row[priority]) for row in rows],
        tracked=[
            dict(zip(known, values, strict=True))
            for values in zip(*(map(read_cell, df[name].tolist()) for name in known), strict=True)
        ]
        if known
        else [{} for _ in labels],
        new_columns=new_columns,
        index_labels=encode_labels,
    )


def _with_missing_columns(
    df: pd.DataFrame, stored: pd.DataFrame, jobs: Sequence[Job], names: Sequence[str]
) -> pd.DataFrame:
    """Return *df* with those of the campaign's columns that it lacks, as they were handed out."""
    missing = [name for name in names if name not in df.columns]
    if not missing or len(jobs) != len(df):
        return df
    return df.assign(**{name: stored[name].array for name in missing})


def _sort_other_columns(
    df: pd.DataFrame, names: Sequence[str], jobs: Sequence[Job]
) -> tuple[list[str], list[str]]:
    """Return the columns of usage, and those that are new, of what is neither the user's nor documented."""
    known = {name for job in jobs if job.attempt is not None for name in job.attempt.usage}
    has_id = df["id"].map(read_cell).notna() if "id" in df.columns else pd.Series(False, index=df.index)
    usage: list[str] = []
    new: list[str] = []
    for name in df.columns:
        if name in names or name.casefold() in RESERVED_COLUMNS or bool(df[name].isna().all()):
            continue
        (usage if name in known or reads_as_usage(df[name], has_id) else new).append(str(name))
    return usage, new


def _number_of(label: object) -> int:
    """Return the number of the row that a label names; 0 for none."""
    is_number = isinstance(label, int) and not isinstance(label, bool)
    return label + 1 if is_number else 0  # type: ignore[operator]


def _identify(sheet: _Sheet, handed: Handed) -> list[Job | None]:
    """Return the job that each row is; None for a new one."""
    owners: list[Job | None] = []
    strangers, taken = [], set()
    for i, label in enumerate(sheet.labels):
        job = handed.jobs.get(_number_of(label))
        is_same = job is not None and cells_of(job.params) == cells_of(sheet.params[i])
        owners.append(job if is_same and job is not None and job.number not in taken else None)
        if owners[i] is None:
            strangers.append(i)
        else:
            taken.add(_number_of(label))
    if strangers:
        by_cells = _find_unique_cells(handed.load_all())
        for i in strangers:
            owners[i] = _claim(sheet, i, handed, by_cells, taken)
    return owners


def _claim(
    sheet: _Sheet, i: int, handed: Handed, by_cells: Mapping[tuple[str, ...], Job], taken: set[int]
) -> Job | None:
    """Find the job of a row whose cells are not those of the row of its label."""
    cells = cells_of(sheet.params[i])
    twin, named = by_cells.get(cells), handed.jobs.get(_number_of(sheet.labels[i]))
    is_changed = named is not None and any(map(str.__eq__, cells, cells_of(named.params)))
    found = twin if twin is not None else named if is_changed else None
    if found is None or found.number in taken:
        return None
    taken.add(found.number)
    return handed.jobs.get(found.number, found)


def _find_unique_cells(jobs: Sequence[Job]) -> dict[tuple[str, ...], Job]:
    """Return the jobs by their cells, if those tell all of them apart."""
    by_cells = {cells_of(job.params): job for job in jobs}
    return by_cells if len(by_cells) == len(jobs) else {}


def _find_new_columns(
    df: pd.DataFrame, sheet: _Sheet, owners: Sequence[Job | None], handed: Handed
) -> tuple[tuple[Column, ...], dict[int, NewJob], list[list[Any]]]:
    """Return all columns, the campaign's rows with cells for new ones, and those cells for each of *df*."""
    if not sheet.new_columns:
        return handed.campaign.columns, {}, []
    positions = {job.number: i for i, job in enumerate(owners) if job is not None}
    jobs = handed.load_all()
    order = [*(positions.get(job.number, -1) for job in jobs), *range(len(df))]
    columns, cells = encode_new_columns(df, sheet.new_columns, order)
    extended = {
        job.number: as_new(job, params=append_cells(job.params, more))
        for job, more in zip(jobs, cells[: len(jobs)], strict=True)
    }
    return (*handed.campaign.columns, *columns), extended, cells[len(jobs) :]


def _make_new(sheet: _Sheet, i: int, params: str) -> NewJob:
    facts = {name: sheet.tracked[i].get(name) for name in OUTPUT_COLUMNS}
    tracked = read_row(facts, {**_read_usages(sheet.tracked[i])})
    pin = facts["backend_name"] if tracked.status is JobStatus.NOT_STARTED else None
    return NewJob(
        params=params,
        index_label=sheet.index_labels([i])[0],
        pinned_backend=None if pin is None else str(pin),
        priority=sheet.priorities[i] or 0.0,
        tracked=tracked,
    )


def _compare_tracked(job: Job, cells: Mapping[str, Any]) -> Written:
    """Compare the documented cells of a row with those that were handed out."""
    before = track_values(job)
    differing = {name for name, cell in cells.items() if _reads(name, cell) != _reads(name, before.get(name))}
    now = {**before, **{name: cells[name] for name in differing}}
    status, user_status = job.status, job.user_status
    if now["status"] is None:
        differing.discard("status")
    elif "status" in differing:
        status, user_status = read_word(str(now["status"]), has_id=now["id"] is not None)
        status = job.status if user_status is not None else status
    costs = now["costs"]
    tracked = Tracked(
        status=status,
        user_status=user_status,
        batch_job_id=None if now["id"] is None else str(now["id"]),
        backend_name=None if now["backend_name"] is None else str(now["backend_name"]),
        **{name: read_instant(now[name]) for name in _INSTANTS},
        costs=float(costs) if isinstance(costs, int | float) else None,
        usage=_read_usages(now),
    )
    return Written(job=job, tracked=tracked, columns=frozenset(differing))


def _reads(name: str, cell: Any) -> Any:
    """Return what a cell says, so that equal means unchanged."""
    if name in _INSTANTS and cell is not None:
        return read_instant(cell) or cell
    return cell if cell is None or isinstance(cell, int | float) else str(cell)


def _read_usages(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage among the cells; what reads like none is kept as the text that it is."""
    return dict(_iterate_usages(cells))


def _iterate_usages(cells: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, cell in cells.items():
        if name not in ("id", "backend_name", "status", "costs", *_INSTANTS) and cell is not None:
            yield name, read_usage(cell) or str(cell)
