"""Whether a dataframe holds the rows that a campaign already has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from openeo_jobs.jobs import Campaign, Column, Job, Table

_TEXT_DTYPES = frozenset({"object", "str", "string"})
"""What a column of text is, depending on the version of pandas that read it."""


def describe_difference(table: Table, campaign: Campaign, jobs: Iterable[Job]) -> str | None:
    """Say how the rows of *table* differ from the stored ones, None where they are the same in any order.

    Two are the same if their columns have the same names, order, dtypes (text is text) and coordinate
    reference systems, and their cells are equal; the index does not count.
    """
    return _compare_columns(table.columns, campaign.columns) or _compare_rows(table, jobs)


def _compare_columns(given: tuple[Column, ...], stored: tuple[Column, ...]) -> str | None:
    given_names, stored_names = [column.name for column in given], [column.name for column in stored]
    if given_names != stored_names:
        return f"the columns are {given_names}, those of the campaign are {stored_names}"
    for new, old in zip(given, stored, strict=True):
        if _look(new) != _look(old):
            return f"column {new.name!r} is of {_look(new)}, that of the campaign is of {_look(old)}"
    return None


def _look(column: Column) -> str:
    crs = column.detail.get("crs")
    dtype = "text" if column.dtype in _TEXT_DTYPES else f"dtype {column.dtype}"
    return f"{dtype} in {crs}" if crs else dtype


def _compare_rows(table: Table, jobs: Iterable[Job]) -> str | None:
    given = Counter(job.params for job in table.jobs)
    stored = Counter(job.params for job in jobs)
    new, missing = given - stored, stored - given
    parts = []
    if new:
        parts.append(f"{new.total()} of its rows are not in the campaign, such as {next(iter(new))}")
    if missing:
        parts.append(f"{missing.total()} of the campaign's rows are not in it, such as {next(iter(missing))}")
    return "; ".join(parts) or None
