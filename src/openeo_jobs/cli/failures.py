"""`openeo-jobs failures`: why rows failed, grouped, with the command that retries them."""

from __future__ import annotations

from argparse import Namespace

from openeo_jobs.cli.campaigns import find_alive, find_place, open_campaign, read_clock
from openeo_jobs.cli.console import tell, tell_document
from openeo_jobs.report.documents import make_failures_document
from openeo_jobs.report.failures import draw_failures
from openeo_jobs.report.runners import describe_runners


def run(given: Namespace) -> int:
    """Show the groups of failed rows."""
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        groups = store.reports.failures()
    if given.json:
        tell_document(make_failures_document(groups, database=place.database.absolute()))
    else:
        now = read_clock()
        who = describe_runners(overview.runner, find_alive(overview), now=now)
        tell([*draw_failures(groups, commands=place.commands, now=now), "", *who])
    return 0
