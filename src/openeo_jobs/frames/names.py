"""Which column names a campaign can have, and which of them are ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from openeo_jobs.errors import FrameError
from openeo_jobs.frames.refusal import raise_problems
from openeo_jobs.status import JobStatus

OUTPUT_COLUMNS = (
    "id",
    "backend_name",
    "status",
    "start_time",
    "running_start_time",
    "cpu",
    "memory",
    "duration",
    "costs",
)
"""The documented columns of the output file, in its order."""

RESERVED_COLUMNS = frozenset({*OUTPUT_COLUMNS, "job", "user_status", "results_status"})
"""Names that the views use, so that no column of a user can have them."""

_NEW_NAMES = {"id": "tile_id"}


def check_shape(df: pd.DataFrame) -> None:
    """Refuse an index or column names that no job table can have."""
    if not isinstance(df, pd.DataFrame):
        raise FrameError(f"a pandas DataFrame is needed, not a {type(df).__name__}")
    raise_problems([*_find_multi_indexes(df)])
    raise_problems([*_find_bad_names(df), *_find_equal_names(df)])


def find_own_columns(df: pd.DataFrame) -> list[str]:
    """Return the columns that are the user's own; refuse reserved ones that hold something.

    A reserved column is ours, and left out, where it is all null, where a `status` says nothing but
    `not_started`, and where a `backend_name` holds text.
    """
    reserved = [name for name in df.columns if name.casefold() in RESERVED_COLUMNS]
    used = [name for name in reserved if not _is_empty(df[name], name)]
    raise_problems([problem for name in used for problem in _find_reserved_use(df[name], name)])
    return [str(name) for name in df.columns if name not in reserved]


def find_columns_beside(df: pd.DataFrame, usage: Sequence[str]) -> list[str]:
    """Return the user's own columns of a campaign in progress: neither documented nor *usage*."""
    return [name for name in df.columns if name.casefold() not in RESERVED_COLUMNS and name not in usage]


def _find_multi_indexes(df: pd.DataFrame) -> Iterator[str]:
    if isinstance(df.index, pd.MultiIndex):
        yield "its index has several levels; df = df.reset_index()"
    if isinstance(df.columns, pd.MultiIndex):
        yield 'its column names have several levels; df.columns = ["_".join(map(str, c)) for c in df.columns]'


def _find_bad_names(df: pd.DataFrame) -> Iterator[str]:
    for name in df.columns:
        if not isinstance(name, str):
            yield f"the column name {name!r} is no text; df.columns = df.columns.map(str)"
        elif not name or "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
            yield f"the column name {name!r} cannot be a name in a database; {_rename(name, 'another_name')}"


def _find_equal_names(df: pd.DataFrame) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in df.columns:
        if not isinstance(name, str):
            continue
        twin = seen.get(name.casefold())
        seen[name.casefold()] = name
        if twin == name:
            yield f"the column name {name!r} is there twice; df = df.loc[:, ~df.columns.duplicated()]"
        elif twin is not None:
            yield f"the column names {twin!r} and {name!r} differ only in case; {_rename(name, name + '_2')}"


def _is_empty(column: pd.Series[Any], name: str) -> bool:
    empty = column.isna()
    if name.casefold() == "status":
        empty |= column == JobStatus.NOT_STARTED.value
    return bool(empty.all())


def _find_reserved_use(column: pd.Series[Any], name: str) -> Iterator[str]:
    folded = name.casefold()
    if folded != "backend_name":
        new = _NEW_NAMES.get(folded, f"my_{folded}")
        yield f"the column name {name!r} is reserved for what the tracker writes; {_rename(name, new)}"
    elif not all(isinstance(value, str) for value in column.dropna()):
        yield f"column {name!r} must hold names of backends, or nothing; {_rename(name, 'my_backend')}"


def _rename(old: str, new: str) -> str:
    return f"df = df.rename(columns={{{_quote(old)}: {_quote(new)}}})"


def _quote(name: str) -> str:
    return f'"{name}"' if name.isprintable() and not set(name) & {'"', "\\"} else repr(name)
