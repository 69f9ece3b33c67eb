"""Check what users hand in: backends, durations, callbacks, paths, dataframes."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from openeo import Connection

from openeo_jobs.errors import FrameError, UsageError
from openeo_jobs.frames import encode_table
from openeo_jobs.jobs import Table
from openeo_jobs.user_code import StartJob, asks_for_attempt

DATABASE_SUFFIXES = (".sqlite", ".db")
MIRROR_SUFFIXES = (".csv",)
LONGEST_SECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Location:
    """Where a campaign is: its database, and its mirror if it has one."""

    database: Path
    mirror: Path | None


def check_backend(name: Any, connection: Any, parallel_jobs: Any) -> None:
    """Raise unless the arguments of `add_backend` make sense."""
    if not isinstance(name, str) or not name:
        raise UsageError(f"add_backend: the name of a backend is a text, not {name!r}")
    if not isinstance(connection, Connection) and not callable(connection):
        raise UsageError(
            f"add_backend({name!r}): connection is {type(connection).__name__}; "
            "give an openeo.Connection, or a callable that makes one"
        )
    if isinstance(parallel_jobs, bool) or not isinstance(parallel_jobs, int) or parallel_jobs < 1:
        raise UsageError(f"add_backend({name!r}): parallel_jobs is a number from 1, not {parallel_jobs!r}")


def read_seconds(name: str, value: Any) -> timedelta:
    """Return a duration that was given as a number of seconds, fractions allowed."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= LONGEST_SECONDS:
        raise UsageError(f"{name} is a number of seconds from 0 to {LONGEST_SECONDS:.0e}, not {value!r}")
    return timedelta(seconds=value)


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


def locate(job_db: Any, output_file: Any) -> Location:
    """Return the files that `run_jobs` means by its third argument; a `.csv` has its database beside it."""
    if job_db is not None and output_file is not None:
        raise UsageError("run_jobs: output_file and job_db are two names for one thing; give one of them")
    given = job_db if job_db is not None else output_file
    if given is None:
        raise UsageError('run_jobs: where to keep the jobs? Give output_file="jobs.csv"')
    if not isinstance(given, (str, Path)):
        raise UsageError(
            f"run_jobs: job_db is {type(given).__name__}, which is not supported yet; "
            f'give a path that ends in {_listed(MIRROR_SUFFIXES + DATABASE_SUFFIXES)}, such as "jobs.csv"'
        )
    path = Path(given)
    if path.suffix.lower() in DATABASE_SUFFIXES:
        return _checked(Location(path, None))
    if path.suffix.lower() in MIRROR_SUFFIXES:
        return _checked(Location(path.with_suffix(".sqlite"), path))
    raise UsageError(
        f"run_jobs: {str(given)!r} does not end in {_listed(MIRROR_SUFFIXES + DATABASE_SUFFIXES)}; "
        'give a path such as "jobs.csv"'
    )


def encode(df: Any) -> Table | None:
    """Encode the dataframe of a call; None stays None, what is no dataframe or has no rows is refused."""
    if df is None:
        return None
    if not isinstance(df, pd.DataFrame):
        raise FrameError(f"run_jobs: df is {type(df).__name__}; give a pandas.DataFrame with one row per job")
    if df.empty:
        raise FrameError("run_jobs: df has no rows, so there is nothing to run")
    return encode_table(df)


def _checked(location: Location) -> Location:
    for path in (location.database, location.mirror):
        if path is not None and path.is_dir():
            raise UsageError(f"run_jobs: {path} is a folder; name a file in it, such as {path / 'jobs.csv'}")
    return location


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
