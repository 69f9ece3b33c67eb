"""`openeo-jobs demo`: write a script, run it as a user would, and show the campaign while it runs."""

from __future__ import annotations

import os
from argparse import Namespace
from importlib.resources import files
from itertools import count
from pathlib import Path

from openeo_jobs.cli.campaigns import VARIABLE
from openeo_jobs.cli.child import Child
from openeo_jobs.cli.console import tell
from openeo_jobs.cli.programs import type_openeo_jobs, type_python
from openeo_jobs.cli.watching import Watch
from openeo_jobs.errors import OpenEOJobsError
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.rehearsal import draw_interruption, draw_next, draw_summary

FOLDER = "openeo-jobs-demo"
SCRIPT = "campaign.py"
DATABASE = "jobs.sqlite"
_LAST_WORDS = 1500


def run(given: Namespace) -> int:
    """Run the demonstration in a new folder below this one."""
    folder = make_folder(Path())
    (folder / SCRIPT).write_bytes(read_template())
    tell(
        [
            "60 rows (20 tiles x 3 years) on two simulated backends. No account, no network.",
            f"Files go to {folder}",
            "",
        ]
    )
    with Child(SCRIPT, folder=folder) as child, Watch(folder / DATABASE) as watch:
        watch.follow(child.is_over)
    return _conclude(child, watch, folder)


def make_folder(parent: Path) -> Path:
    """Make a folder for the demonstration; one that exists is left alone."""
    names = (FOLDER if number == 1 else f"{FOLDER}-{number}" for number in count(1))
    folder = next(folder for name in names if not (folder := parent / name).exists())
    folder.mkdir()
    return folder


def read_template() -> bytes:
    """Return the script that the demonstration runs."""
    return files("openeo_jobs.cli").joinpath("campaign_template.txt").read_bytes()


def _conclude(child: Child, watch: Watch, folder: Path) -> int:
    """Say how it ended, and what to type next."""
    python, overview = type_python(), watch.last.overview if watch.last else None
    if child.was_interrupted:
        tell(draw_interruption(overview, folder=folder, python=python))
        return 1
    if child.exit_code or overview is None:
        raise OpenEOJobsError(
            f"{folder / SCRIPT} ended with exit code {child.exit_code}; its last words:\n"
            f"{child.output[-_LAST_WORDS:]}"
        )
    # $OPENEO_JOBS would lead the printed commands to another campaign.
    commands = Commands(type_openeo_jobs(), DATABASE if os.environ.get(VARIABLE) else None)
    tell(
        [
            *draw_summary(overview, seconds=watch.seconds, folder=folder),
            "",
            *draw_next(overview, folder=folder, python=python, commands=commands),
        ]
    )
    return 0
