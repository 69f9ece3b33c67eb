"""A campaign in progress: what its documented columns say of each row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from openeo_jobs.frames.names import OUTPUT_COLUMNS, RESERVED_COLUMNS
from openeo_jobs.status import POLLED, JobStatus
from openeo_jobs.tables import Tracked

_OTHER_WORDS = {"queued_for_start_failed": JobStatus.CREATED, JobStatus.SUBMITTING: JobStatus.NOT_STARTED}
"""Words of openEO's own manager that are no status here, and one of ours that only a process can be in."""

_FACTS = ("id", "backend_name", "status", "start_time", "running_start_time", "costs")
_USAGE = re.compile(r"(?P<value>-?\d+(\.\d+)?([eE][+-]?\d+)?)( (?P<unit>[^\d\s].*))?", re.ASCII)


def is_in_progress(df: pd.DataFrame) -> bool:
    """Say whether a dataframe is a campaign in progress: it has `id` and `status`, and they say something."""
    columns = _by_folded_name(df)
    if not {"id", "status"} <= set(columns):
        return False
    status = df[columns["status"]].dropna()
    has_ids = bool(df[columns["id"]].notna().any()) and not status.empty
    return has_ids or bool((status != JobStatus.NOT_STARTED.value).any())


def find_usage_columns(df: pd.DataFrame) -> list[str]:
    """Return the columns of a campaign in progress that hold usage.

    They are `cpu`, `memory` and `duration`, and each other one that reads like it: every cell is empty or
    like `12.5 mb`, and only rows with an id have one.
    """
    has_id = df[_by_folded_name(df)["id"]].notna()
    return [
        name
        for name in df.columns
        if name.casefold() not in _FACTS
        and (name.casefold() in RESERVED_COLUMNS or reads_as_usage(df[name], has_id))
    ]


def read_tracked(df: pd.DataFrame) -> list[Tracked]:
    """Return what a campaign in progress says of each row; words that nobody knows become `user_status`."""
    columns = _by_folded_name(df)
    facts = {name: df[columns[name]].tolist() if name in columns else [None] * len(df) for name in _FACTS}
    usage = {name: df[name].tolist() for name in find_usage_columns(df)}
    return [
        read_row(
            {name: read_cell(values[i]) for name, values in facts.items()},
            {name: read_usage(values[i]) for name, values in usage.items()},
        )
        for i in range(len(df))
    ]


def find_problems(tracked: Sequence[Tracked], labels: Sequence[object]) -> Iterator[str]:
    """Say which rows cannot be as they are told: under way without an id, or with that of another."""
    anew = f"or set its status to {JobStatus.NOT_STARTED.value!r} to run it anew"
    claimed: dict[tuple[str | None, str], object] = {}
    for label, each in zip(labels, tracked, strict=True):
        if each.status in POLLED and not (each.batch_job_id and each.backend_name):
            missing = "backend_name" if each.batch_job_id else "id"
            yield f"row {label!r} is {each.status.value!r} but has no {missing}; fill it in, {anew}"
        elif each.batch_job_id is not None:
            key = (each.backend_name, each.batch_job_id)
            if key in claimed:
                both = f"rows {claimed[key]!r} and {label!r} have the same id, {each.batch_job_id}"
                yield f"{both}; clear one, {anew}"
            claimed.setdefault(key, label)


def read_usage(cell: Any) -> dict[str, Any] | None:
    """Return a usage as a backend gives it, from the text of a file: `12.5 cpu-seconds`; None: nothing."""
    text = read_cell(cell)
    found = _USAGE.fullmatch(str(text).strip()) if text is not None else None
    if found is None:
        return None
    value = float(found["value"])
    number = int(value) if value.is_integer() and "." not in found["value"] else value
    return {"value": number, "unit": found["unit"]} if found["unit"] else {"value": number}


def read_word(word: str | None, *, has_id: bool) -> tuple[JobStatus, str | None]:
    """Return the status that a word of a file means, and the word itself if nobody knows it."""
    if word is None:
        return JobStatus.NOT_STARTED, None
    if word in _OTHER_WORDS:
        return _OTHER_WORDS[word], None
    if word in set(JobStatus):
        return JobStatus(word), None
    return (JobStatus.CREATED if has_id else JobStatus.NOT_STARTED), word


def read_row(facts: Mapping[str, Any], usage: Mapping[str, Any]) -> Tracked:
    """Return what the documented cells of a row say, and its usage."""
    known = read_facts(facts)
    status, user_status = read_word(facts["status"], has_id=known.batch_job_id is not None)
    if status is JobStatus.NOT_STARTED:
        return Tracked(user_status=user_status)
    used = {name: value for name, value in usage.items() if value is not None}
    return replace(known, status=status, user_status=user_status, usage=used)


def read_facts(cells: Mapping[str, Any]) -> Tracked:
    """Return what the documented cells of a row say, but for its status and usage."""
    costs = cells["costs"]
    return Tracked(
        batch_job_id=read_id(cells["id"]),
        backend_name=None if cells["backend_name"] is None else str(cells["backend_name"]),
        start_time=read_instant(cells["start_time"]),
        running_start_time=read_instant(cells["running_start_time"]),
        costs=float(costs) if isinstance(costs, int | float) else None,
    )


def read_id(cell: Any) -> str | None:
    """Return the id of a batch job; a column of numbers that misses some is read as one of floats."""
    if cell is None:
        return None
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def read_instant(value: Any) -> datetime | None:
    """Return an instant as openEO's own manager writes it (RFC 3339); what cannot be read is not known."""
    try:
        instant = datetime.fromisoformat(str(value)) if value is not None else None
    except ValueError:
        return None
    if instant is None:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def read_cell(value: Any) -> Any:
    """Return a cell, None for every way in which files and frames say nothing."""
    if value is None or (isinstance(value, str) and value.strip().casefold() in ("", "nan", "none")):
        return None
    return None if not isinstance(value, str) and bool(pd.isna(value)) else value


def reads_as_usage(column: pd.Series[Any], has_id: pd.Series[Any]) -> bool:
    """Say whether a column holds usage: every cell is empty or like `12.5 mb`, and has an id beside it."""
    cells = [value for value in column.tolist() if isinstance(value, str) or value is not None]
    filled = [value for value in cells if not (isinstance(value, float) and value != value)]
    if not filled or not bool(has_id[column.notna()].all()):
        return False
    return all(isinstance(v, str) and (m := _USAGE.fullmatch(v)) is not None and m["unit"] for v in filled)


def _by_folded_name(df: pd.DataFrame) -> dict[str, str]:
    return {name.casefold(): name for name in df.columns if name.casefold() in (*OUTPUT_COLUMNS,)}
