"""Which campaign a command means, and how to open it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from openeo_jobs.cli.programs import type_openeo_jobs
from openeo_jobs.errors import DatabaseError, NotACampaignError, UsageError
from openeo_jobs.jobs import Runner
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.runners import describe_runners
from openeo_jobs.storage.database import check_file
from openeo_jobs.storage.reports import Overview
from openeo_jobs.storage.store import JobStore, open_store
from openeo_jobs.tracking.runner import find_alive as find_processes

VARIABLE = "OPENEO_JOBS"
DEFAULT = "jobs.sqlite"


@dataclass(frozen=True, slots=True)
class Place:
    """A campaign's database, and the commands that mean it."""

    database: Path
    commands: Commands


def find_place(given: Namespace) -> Place:
    """Return the campaign that a command line means: PATH, $OPENEO_JOBS, jobs.sqlite, the only one here."""
    program = type_openeo_jobs()
    if given.path is not None:
        return Place(_find_database(given.path), Commands(program, str(given.path)))
    if os.environ.get(VARIABLE):
        return Place(_find_database(Path(os.environ[VARIABLE])), Commands(program))
    return Place(_find_here(Path(), program), Commands(program))


def open_campaign(place: Place) -> tuple[JobStore, Overview]:
    """Open a campaign and return it with its overview; raise `DatabaseError` if it has no rows yet."""
    store = open_store(place.database)
    overview = store.reports.overview()
    if overview is None:
        store.close()
        raise DatabaseError(f"{place.database} holds no rows yet; the script that made it has not begun")
    return store, overview


def find_alive(overview: Overview) -> list[Runner]:
    """Return the runners that run the campaign now."""
    return [runner for runner in find_processes(overview.runners, now=read_clock) if runner.is_run]


def read_clock() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def _find_database(path: Path) -> Path:
    """Return the database that *path* names: itself, the one beside a CSV, or the one in a folder."""
    if path.is_dir():
        return _find_here(path, type_openeo_jobs())
    if path.suffix.lower() != ".csv":
        return path
    database = path.with_suffix(".sqlite")
    if not database.exists():
        raise DatabaseError(f"{path} has no database beside it: {database} does not exist; a run makes it")
    return database


def _find_here(folder: Path, program: str) -> Path:
    if (folder / DEFAULT).exists():
        return folder / DEFAULT
    found = _list_campaigns([*folder.glob("*.sqlite"), *folder.glob("*.db")])
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} campaigns are here; name one:{_choices(found, program)}")
    below = _list_campaigns(folder.glob(f"*/{DEFAULT}"))
    hint = (
        f"; there is:{_choices(below, program)}" if below else f"; name its database: {program} status PATH"
    )
    raise DatabaseError(f"no campaign in {folder.absolute()}{hint}")


def _list_campaigns(paths: Iterable[Path]) -> list[Path]:
    return [path for path in sorted(paths) if _is_campaign(path)]


def _is_campaign(path: Path) -> bool:
    try:
        check_file(path)
    except (NotACampaignError, OSError):
        return False
    return True


def _choices(paths: list[Path], program: str) -> str:
    return "".join(f"\n  {program} status {path}" for path in paths[:10])


def what_now(overview: Overview) -> list[str]:
    """Say who acts on the campaign now, or how to go on."""
    return describe_runners(overview.runner, find_alive(overview), now=read_clock())
