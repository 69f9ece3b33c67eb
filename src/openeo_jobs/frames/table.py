"""A user's dataframe on its way into the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd

from openeo_jobs.frames import geometry
from openeo_jobs.frames.axes import describe_axis
from openeo_jobs.frames.columns import describe_column, encode_cells
from openeo_jobs.frames.names import check_shape, find_columns_beside, find_own_columns
from openeo_jobs.frames.refusal import RefusedError, raise_problems
from openeo_jobs.frames.tracked import find_problems, find_usage_columns, is_in_progress, read_tracked
from openeo_jobs.frames.values import Json
from openeo_jobs.jobs import Column
from openeo_jobs.tables import NewJob, Table, Tracked, dump_cells, priority_of


def encode_table(df: pd.DataFrame) -> Table:
    """Encode a dataframe, whole, so that rows, index and dtypes come back exact.

    Scalars of numpy in columns of dtype object become Python's own. Documented columns that are empty
    are left out; `backend_name` pins a row to a backend, and numbers in `priority` are its priority too.
    A dataframe whose `id` and `status` say something is a campaign in progress: its documented columns, and
    those that hold usage, are what is `tracked` of its rows.
    `df.attrs` is not kept. Raises `FrameError`, with the remedy, for what no job table can hold.
    """
    check_shape(df)
    tracked = read_tracked(df) if is_in_progress(df) else None
    if tracked is not None:
        raise_problems([*find_problems(tracked, df.index.tolist())])
    names = find_own_columns(df) if tracked is None else find_columns_beside(df, find_usage_columns(df))
    encoder = _Encoder(df)
    index, labels = encoder.encode_index()
    columns, cells = zip(*map(encoder.encode_column, names), strict=True) if names else ((), ())
    raise_problems(encoder.problems)
    return Table(
        columns=columns,
        index=index,
        jobs=tuple(_make_jobs(df, labels, columns, cells, tracked)),
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


def _make_jobs(
    df: pd.DataFrame,
    labels: list[Json],
    columns: Sequence[Column],
    cells: Sequence[list[Json]],
    tracked: list[Tracked] | None,
) -> Iterator[NewJob]:
    rows = zip(*cells, strict=True) if cells else ([] for _ in labels)
    pins = _find_pinned_backends(df, tracked)
    progress: list[Tracked | None] = [None] * len(df) if tracked is None else [*tracked]
    for label, row, pin, one in zip(labels, rows, pins, progress, strict=True):
        yield NewJob(
            params=dump_cells(row),
            index_label=dump_cells(label),
            pinned_backend=pin,
            priority=priority_of(row, columns),
            tracked=one,
        )


def _find_pinned_backends(df: pd.DataFrame, tracked: list[Tracked] | None) -> list[str | None]:
    """Return the backends that the user chose.

    In a campaign in progress `backend_name` says where a row went, also one that was put back in line.
    """
    if tracked is not None:
        return [None] * len(df)
    for name in df.columns:
        if name.casefold() == "backend_name":
            return [str(value) if isinstance(value, str) else None for value in df[name].tolist()]
    return [None] * len(df)
