"""Which rows a command means: --row, --status, --where."""

from __future__ import annotations

from argparse import Namespace

from openeo_jobs.storage.store import JobStore


def is_given(given: Namespace) -> bool:
    """Say whether a command line names rows."""
    return bool(given.row or given.status or given.where is not None)


def find_rows(store: JobStore, given: Namespace) -> list[int]:
    """Return the numbers of the rows that a command line names in any way."""
    return store.selections.find(rows=given.row, statuses=given.status, where=given.where)


def describe_options(given: Namespace, *names: str) -> str:
    """Return the options that name rows, as they were typed."""
    options = [f"--{name} {value}" for name in (*names, "status", "row") for value in getattr(given, name)]
    if given.where is not None:
        options.append(f"--where {given.where}")
    return " ".join(options)
