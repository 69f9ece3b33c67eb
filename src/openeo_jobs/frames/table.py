"""A user's dataframe on its way into the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from openeo_jobs.frames import geometry
from openeo_jobs.frames.axes import describe_axis
from openeo_jobs.frames.columns import describe_column, encode_cells
from openeo_jobs.frames.names import check_shape, find_own_columns
from openeo_jobs.frames.refusal import RefusedError, raise_problems
from openeo_jobs.frames.values import Json, dump_json
from openeo_jobs.jobs import Column, NewJob, Table


def encode_table(df: pd.DataFrame) -> Table:
    """Encode a dataframe, whole, so that rows, index and dtypes come back exact.

    Scalars of numpy in columns of dtype object become Python's own. Documented columns that are empty
    are left out; `backend_name` pins a row to a backend, and numbers in `priority` are its priority too.
    `df.attrs` is not kept. Raises `FrameError`, with the remedy, for what no job table can hold.
    """
    check_shape(df)
    names = find_own_columns(df)
    encoder = _Encoder(df)
    index, labels = encoder.encode_index()
    columns, cells = zip(*map(encoder.encode_column, names), strict=True) if names else ((), ())
    raise_problems(encoder.problems)
    return Table(
        columns=columns,
        index=index,
        jobs=tuple(_make_jobs(df, labels, cells)),
        geometry=geometry.find_active_geometry(df),
    )


class _Encoder:
    """Encodes one dataframe, and goes on after a problem, so that the user hears of all of them at once."""

    def __init__(self, df: pd.DataFrame) -> None:
        self._df = df
        self.problems: list[str] = []

    def encode_index(self) -> tuple[Column, list[Json]]:
        """Encode the index; what else it takes to build the frame again goes into its detail."""
        names = None
        with self._collect_problem("the row of column names", "df.columns"):
            described = describe_axis(self._df.columns)
            names = {"dtype": described.dtype, "detail": described.detail}
        with self._collect_problem("the index", "df.index"):
            index = describe_axis(self._df.index, columns=names, geo=geometry.is_geo_frame(self._df))
            return index, encode_cells(self._df.index, index.detail)
        return _NOTHING

    def encode_column(self, name: str) -> tuple[Column, list[Json]]:
        """Encode one column."""
        with self._collect_problem(f"column {name!r}", f"df[{name!r}]"):
            column = describe_column(self._df[name], name)
            return column, encode_cells(self._df[name], column.detail)
        return _NOTHING

    @contextmanager
    def _collect_problem(self, where: str, column: str) -> Iterator[None]:
        try:
            yield
        except RefusedError as refusal:
            self.problems.append(refusal.describe(where=where, column=column, labels=self._df.index.tolist()))


_NOTHING: tuple[Column, list[Json]] = Column(name="", dtype=""), []


def _make_jobs(df: pd.DataFrame, labels: list[Json], cells: tuple[list[Json], ...]) -> Iterator[NewJob]:
    rows = zip(*cells, strict=True) if cells else ([] for _ in labels)
    pinned = _find_pinned_backends(df)
    for label, row, backend, priority in zip(labels, rows, pinned, _find_priorities(df), strict=True):
        yield NewJob(
            params=dump_json(row),
            index_label=dump_json(label),
            pinned_backend=backend,
            priority=priority,
        )


def _find_pinned_backends(df: pd.DataFrame) -> list[str | None]:
    for name in df.columns:
        if name.casefold() == "backend_name":
            return [str(value) if isinstance(value, str) else None for value in df[name].tolist()]
    return [None] * len(df)


def _find_priorities(df: pd.DataFrame) -> list[float]:
    if "priority" not in df.columns:
        return [0.0] * len(df)
    return [_read_priority(value) for value in df["priority"].tolist()]


def _read_priority(value: Any) -> float:
    """Return a number as it is; text, and what is missing, are no priority."""
    return float(value) if isinstance(value, int | float) and value == value else 0.0
