"""Begin a campaign or go on with it: which files a call means, and whether its dataframe fits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from openeo_jobs.errors import FrameError, MirrorError, UsageError
from openeo_jobs.frames import describe_difference, encode_table
from openeo_jobs.jobs import Campaign, Table
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")

DATABASE_SUFFIXES = (".sqlite", ".db")
MIRROR_SUFFIXES = (".csv",)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a campaign is: its database, and its mirror if it has one."""

    database: Path
    mirror: Path | None


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


def check_files(location: Location, table: Table | None) -> None:
    """Raise, before anything is changed, unless the files allow to begin or to go on."""
    if location.database.exists():
        return
    if location.mirror is not None and location.mirror.exists():
        raise MirrorError(
            f"{location.mirror} exists, but its database {location.database} does not; a campaign that "
            "openEO's own manager began cannot be taken over yet. Move the file aside, or name another one"
        )
    if table is None:
        raise UsageError(f"{location.database} does not exist yet; give df=, with one row per job")


def begin_or_go_on(
    store: JobStore, table: Table | None, *, make_uid: Callable[[], str], at: datetime
) -> Campaign:
    """Return the campaign of *store*; a new one gets the rows of *table*, an old one has to hold the same."""
    campaign = store.campaigns.load()
    if campaign is None:
        if table is None:
            raise UsageError(f"{store.path} holds no rows yet; give df=, a dataframe with one row per job")
        return store.campaigns.begin(table, uid=make_uid(), at=at)
    if table is not None:
        difference = describe_difference(table, campaign, store.jobs.all())
        if difference is not None:
            raise FrameError(
                f"df does not hold the rows that {store.path} holds: {difference}. "
                "Leave df out to go on with those, or name another output_file for a new campaign"
            )
    log.info("going on with %s", store.path)
    return campaign


def _checked(location: Location) -> Location:
    for path in (location.database, location.mirror):
        if path is not None and path.is_dir():
            raise UsageError(f"run_jobs: {path} is a folder; name a file in it, such as {path / 'jobs.csv'}")
    return location


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
