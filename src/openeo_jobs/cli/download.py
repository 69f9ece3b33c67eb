"""`openeo-jobs download`: fetch the results that are missing."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator

from openeo_jobs.cli.campaigns import find_place, open_campaign, what_now
from openeo_jobs.cli.console import tell
from openeo_jobs.cli.logins import find_connections
from openeo_jobs.downloading import Downloaded, download
from openeo_jobs.report.figures import count, list_rows


def run(given: Namespace) -> int:
    """Fetch what is missing; 1 if something still is."""
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        connections = find_connections(store.backends.all())
    outcome = download(
        place.database,
        connections,
        rows=given.row,
        where=given.where,
        root_dir=given.root_dir,
        output_path=given.output_path,
        assets=given.assets,
        tell=_show_progress,
    )
    tell([*_describe(outcome), *what_now(overview)])
    return 1 if outcome.missing else 0


def _show_progress(done: int, of_all: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {count(of_all, 'row')} " + ("\n" if done == of_all else ""))
        sys.stderr.flush()


def _describe(outcome: Downloaded) -> Iterator[str]:
    if outcome.fetched:
        yield f"{count(len(outcome.fetched), 'row')} fetched: {list_rows(outcome.fetched)}."
    for number, error in outcome.missing.items():
        yield f"row {number}: not fetched: {error}"
    if outcome.left:
        left = f"{count(len(outcome.left), 'row')} left: {list_rows(outcome.left)}"
        yield f"{left}; a process that runs the campaign has them, or another account."
    if outcome == Downloaded():
        yield "Nothing is missing: the results of every finished row are on disk, or were not wanted."
