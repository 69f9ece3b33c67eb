"""Check what users hand in: backends, durations, callbacks."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

from openeo import Connection

from openeo_jobs.errors import UsageError
from openeo_jobs.policy.downloads import Wants, matches
from openeo_jobs.user_code import StartJob, asks_for_attempt

LONGEST_SECONDS = 1e9


def check_backend(name: Any, connection: Any, parallel_jobs: Any) -> None:
    """Raise unless the arguments of `add_backend` make sense."""
    if not isinstance(name, str) or not name:
        raise UsageError(f"add_backend: the name of a backend is a text, not {name!r}")
    if not isinstance(connection, Connection) and not callable(connection):
        raise UsageError(
            f"add_backend({name!r}): connection is {type(connection).__name__}; "
            "give an openeo.Connection, or a callable that makes one"
        )
    read_count(f"add_backend({name!r}): parallel_jobs", parallel_jobs)


def read_seconds(name: str, value: Any) -> timedelta:
    """Return a duration that was given as a number of seconds, fractions allowed."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= LONGEST_SECONDS:
        raise UsageError(f"{name} is a number of seconds from 0 to {LONGEST_SECONDS:.0e}, not {value!r}")
    return timedelta(seconds=value)


def read_count(name: str, value: Any) -> int:
    """Return a number of things of which there is at least one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} is a number from 1, not {value!r}")
    return value


def read_filter(assets: Any) -> Wants:
    """Return the filter for files of results that was given as a pattern, a callable, or not at all."""
    if assets is None:
        return lambda offer: True
    if isinstance(assets, str) and assets:
        return matches(assets)
    if not callable(assets):
        raise UsageError(
            f'assets is a pattern such as "*.tif", or a callable that says whether a file is wanted, '
            f"not {assets!r}"
        )
    checked: Wants = assets
    return checked


def check_start_job(start_job: Any) -> StartJob:
    """Return *start_job* if it can be called as documented; say what is missing otherwise."""
    if not callable(start_job):
        raise UsageError(
            "run_jobs: start_job is missing; give a function that creates the batch job of a row: "
            "def start_job(row, connection, **kwargs): ..."
        )
    try:
        extra = {"attempt": 0} if asks_for_attempt(start_job) else {}
        inspect.signature(start_job).bind(row=0, connection_provider=0, connection=0, provider=0, **extra)
    except TypeError as error:
        raise UsageError(
            "run_jobs: start_job cannot be called with row=, connection_provider=, connection= and "
            f"provider= ({error}); add **kwargs to its parameters"
        ) from error
    except ValueError:  # a callable without a signature
        pass
    checked: StartJob = start_job
    return checked
