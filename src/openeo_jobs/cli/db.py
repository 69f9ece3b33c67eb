"""`openeo-jobs db upgrade`: an older database to this version, after a backup copy."""

from __future__ import annotations

from argparse import Namespace

from openeo_jobs.cli.campaigns import find_place, read_clock
from openeo_jobs.cli.console import tell
from openeo_jobs.errors import DatabaseError
from openeo_jobs.storage import migrate
from openeo_jobs.tracking.runner import make_hasty_judge


def run(given: Namespace) -> int:
    """Upgrade the database."""
    database = find_place(given).database
    if not database.exists():
        raise DatabaseError(f"{database} does not exist; a run makes it")
    backup = migrate.upgrade(database, is_dead=make_hasty_judge(read_clock))
    if backup is None:
        tell([f"{database} is up to date; nothing was to do."])
    else:
        tell([f"{database} is upgraded.", f"The copy from before: {backup}"])
    return 0
