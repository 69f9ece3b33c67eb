"""`openeo-jobs status`: how far, how much, who runs it, what needs a person."""

from __future__ import annotations

from argparse import Namespace

from openeo_jobs.cli.campaigns import find_alive, find_place, open_campaign, read_clock
from openeo_jobs.cli.console import tell, tell_document
from openeo_jobs.report.documents import make_status_document
from openeo_jobs.report.status import draw_status


def run(given: Namespace) -> int:
    """Show the campaign at one glance."""
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        groups = store.reports.failures()
    alive = find_alive(overview)
    if given.json:
        tell_document(make_status_document(overview, database=place.database.absolute(), alive=alive))
        return 0
    tell(
        draw_status(
            overview,
            name=place.database.name,
            alive=alive,
            groups=len(groups),
            commands=place.commands,
            now=read_clock(),
        )
    )
    return 0
