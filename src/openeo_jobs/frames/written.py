"""What somebody has written into a frame that was handed out: other cells, new columns, new rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from openeo_jobs.errors import FrameError
from openeo_jobs.frames.columns import encode_cells
from openeo_jobs.frames.comparison import cells_of, encode_new_columns, find_changes, texts_of
from openeo_jobs.frames.fitting import LEAD, fit_columns, fit_index
from openeo_jobs.frames.matching import match
from openeo_jobs.frames.names import OUTPUT_COLUMNS, RESERVED_COLUMNS, check_shape
from openeo_jobs.frames.refusal import raise_problems
from openeo_jobs.frames.rows import decode_frame, track_values
from openeo_jobs.frames.tracked import (
    find_problems,
    read_cell,
    read_facts,
    read_id,
    read_instant,
    read_row,
    read_usage,
    read_word,
    reads_as_usage,
)
from openeo_jobs.frames.values import Json
from openeo_jobs.jobs import Campaign, Job
from openeo_jobs.status import JobStatus
from openeo_jobs.tables import Change, Merge, NewColumn, NewJob, Written, dump_cells, priority_of

_INSTANTS = ("start_time", "running_start_time")
_NO_USAGE = frozenset({"id", "backend_name", "status", "costs", *_INSTANTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a frame is held against: its rows as they were handed out, by number, and all there are.

    `is_ours`: the frame was handed out, so that its labels are ours. `earlier` returns how a row was handed
    out before, where it is not known which of them the frame was.
    """

    campaign: Campaign
    jobs: Mapping[int, Job]
    load_all: Callable[[], Sequence[Job]]
    is_ours: bool
    earlier: Callable[[int], Sequence[Job]]


def number_of(label: object) -> int | None:
    """Return the number of the row that a label of a handed out frame means; those begin at 0."""
    if isinstance(label, bool | str) or not hasattr(label, "__int__"):
        return None
    number = int(label)
    return number + 1 if number == label else None


def find_written(df: pd.DataFrame, handed: Handed) -> tuple[Merge, list[Written]]:
    """Return what *df* adds to the campaign, and what it says otherwise of its rows.

    A row is the one that has its `id`, or its label and the same cells; else one with the same cells; else,
    if it has the documented columns, the one of its label, in which cells were changed. What is none of these
    is new. Raises `FrameError` for what does not fit the campaign.
    """
    check_shape(df)
    sheet = _read_sheet(df, handed)
    owners = _identify(sheet, handed)
    written, new = [], []
    for i, job in enumerate(owners):
        if job is None:
            new.append(_make_new(sheet, i, handed))
        elif (one := _compare(sheet, i, job, handed)) is not None:
            written.append(one)
    labels = [label for label, job in zip(sheet.labels, owners, strict=True) if job is None]
    raise_problems([*find_problems([row.tracked for row in new if row.tracked], labels)], lead=LEAD)
    merge = Merge(known=len(handed.campaign.columns), columns=sheet.new_columns, new=tuple(new))
    return merge, written


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """A frame, read row by row: the user's cells, those of new columns, and the documented ones it has."""

    labels: list[Any]
    params: list[str]
    more: list[list[Json]]
    new_columns: tuple[NewColumn, ...]
    tracked: list[dict[str, Any]]


def _read_sheet(df: pd.DataFrame, handed: Handed) -> _Sheet:
    campaign, names = handed.campaign, [column.name for column in handed.campaign.columns]
    labels = df.index.tolist()
    jobs = [handed.jobs.get(number_of(label) or 0) for label in labels]
    known = [job for job in jobs if job is not None]
    stored = decode_frame(campaign, known)
    fitted = fit_columns(_with_own_columns(df, stored, jobs, names), campaign, stored)
    cells = [encode_cells(pd.Series(fitted[c.name]), c.detail) for c in campaign.columns]
    usage, others = _sort_other_columns(df, names, known)
    documented = [name for name in (*OUTPUT_COLUMNS, *usage) if name in df.columns and name not in names]
    columns, more = encode_new_columns(df, others)
    values = [df[name].map(read_cell).tolist() for name in documented]
    return _Sheet(
        labels=labels,
        params=[dump_cells(row) for row in zip(*cells, strict=True)] if cells else ["[]" for _ in labels],
        more=more,
        new_columns=columns,
        tracked=[dict(zip(documented, row, strict=True)) for row in zip(*values, strict=True)]
        if values
        else [{} for _ in labels],
    )


def _with_own_columns(
    df: pd.DataFrame, stored: pd.DataFrame, jobs: Sequence[Job | None], names: Sequence[str]
) -> pd.DataFrame:
    """Return *df* with those of the campaign's columns that it lacks, as they were handed out."""
    missing = [name for name in names if name not in df.columns]
    if not missing or None in jobs:
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


def _identify(sheet: _Sheet, handed: Handed) -> list[Job | None]:
    """Return the job that each row is; None for a new one."""
    labelled = [handed.jobs.get(number_of(label) or 0) for label in sheet.labels]
    cells = [cells_of(params) for params in sheet.params]
    if all(job is not None and cells_of(job.params) == own for job, own in zip(labelled, cells, strict=True)):
        numbers = [job.number for job in labelled if job is not None]
        if len(set(numbers)) == len(numbers):
            return labelled
    jobs = list({job.number: job for job in [*handed.load_all(), *handed.jobs.values()]}.values())
    found = match(_passes(sheet, jobs, handed), len(sheet.labels))
    owners = [jobs[place] if place is not None else None for place in found]
    _refuse_twins(sheet, owners, labelled, is_ours=handed.is_ours)
    return owners


def _passes(sheet: _Sheet, jobs: Sequence[Job], handed: Handed) -> list[tuple[Any, Any]]:
    numbers: list[Hashable] = [job.number for job in jobs]
    labels = [number_of(label) for label in sheet.labels]
    exact, exact_of = [cells_of(row) for row in sheet.params], [cells_of(job.params) for job in jobs]
    ids = [row.get("id") for row in sheet.tracked]
    passes: list[tuple[Any, Any]] = [
        (ids, [job.batch_job_id for job in jobs]),
        ([*zip(labels, exact, strict=True)], [*zip(numbers, exact_of, strict=True)]),
        (exact, exact_of),
    ]
    if not handed.is_ours:  # it may have been in a file
        plain = [texts_of(row) for row in sheet.params]
        plain_of = [texts_of(job.params) for job in jobs]
        passes += [
            ([*zip(labels, plain, strict=True)], [*zip(numbers, plain_of, strict=True)]),
            (plain, plain_of),
        ]
    of_handed = [label if "status" in row else None for label, row in zip(labels, sheet.tracked, strict=True)]
    return [*passes, (of_handed, numbers)]


def _refuse_twins(
    sheet: _Sheet, owners: Sequence[Job | None], labelled: Sequence[Job | None], *, is_ours: bool
) -> None:
    """Raise for rows that were handed out, and are no row any more: nobody wants them to run once more."""
    raise_problems(
        [
            f"row {sheet.labels[i]!r} is there twice, or has lost its index and has other cells"
            for i, job in enumerate(labelled)
            if owners[i] is None
            and job is not None
            and (is_ours or (sheet.tracked[i] and cells_of(job.params) == cells_of(sheet.params[i])))
        ],
        lead=LEAD,
    )


def _make_new(sheet: _Sheet, i: int, handed: Handed) -> NewJob:
    facts = {name: sheet.tracked[i].get(name) for name in OUTPUT_COLUMNS}
    tracked = read_row(facts, _read_usages(sheet.tracked[i]))
    pin = facts["backend_name"] if tracked.status is JobStatus.NOT_STARTED else None
    params = [*json.loads(sheet.params[i]), *sheet.more[i]]
    columns = [*handed.campaign.columns, *(new.column for new in sheet.new_columns)]
    return NewJob(
        params=dump_cells(params),
        index_label=_label_new(sheet.labels[i], handed),
        pinned_backend=None if pin is None else str(pin),
        priority=priority_of(params, columns),
        tracked=tracked,
    )


def _label_new(label: Any, handed: Handed) -> str:
    """Return the index label of a new row: its own where the campaign's index can have it, else none."""
    campaign, stored = handed.campaign, decode_frame(handed.campaign, handed.jobs.values())
    try:
        own = fit_index(pd.Index([label], tupleize_cols=False), campaign, stored)
    except FrameError:
        own = fit_index(pd.Index([None], tupleize_cols=False), campaign, stored)
    return dump_cells(encode_cells(own, campaign.index.detail)[0])


def _compare(sheet: _Sheet, i: int, job: Job, handed: Handed) -> Written | None:
    """Return what row *i* says of its job that is other than it was handed out; None: nothing."""
    known = len(handed.campaign.columns)
    cells = find_changes(sheet.params[i], job, cells_of if handed.is_ours else texts_of)
    cells |= {known + n: cell for n, cell in enumerate(sheet.more[i])}
    one = _compare_tracked(job, sheet.tracked[i])
    if one.columns and not handed.is_ours:
        before = [_compare_tracked(state, sheet.tracked[i]) for state in handed.earlier(job.number)]
        one = replace(one, is_outdated=any(not state.columns for state in before))
    one = replace(one, change=Change(cells=cells))
    return one if one.columns or cells else None


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
    tracked = replace(read_facts(now), status=status, user_status=user_status, usage=_read_usages(now))
    return Written(job=job, tracked=tracked, columns=frozenset(differing))


def _reads(name: str, cell: Any) -> Any:
    """Return what a cell says, so that equal means unchanged."""
    if name in _INSTANTS and cell is not None:
        return read_instant(cell) or cell
    if name == "id":
        return read_id(cell)
    return cell if cell is None or isinstance(cell, int | float) else str(cell)


def _read_usages(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage among the cells; what reads like none is kept as the text that it is."""
    return dict(_iterate_usages(cells))


def _iterate_usages(cells: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, cell in cells.items():
        if name not in _NO_USAGE and cell is not None:
            yield name, read_usage(cell) or str(cell)
