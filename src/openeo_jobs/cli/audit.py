"""`openeo-jobs audit`: whether anything is wrong with a campaign, and what could not be checked."""

from __future__ import annotations

from argparse import Namespace

from openeo_jobs.auditing import audit_store
from openeo_jobs.cli.campaigns import find_place, open_campaign
from openeo_jobs.cli.console import tell, tell_document
from openeo_jobs.cli.logins import find_connections
from openeo_jobs.report.audit import draw_audit, make_audit_document


def run(given: Namespace) -> int:
    """Go through the campaign; 1 if something is wrong."""
    place = find_place(given)
    store, _ = open_campaign(place)
    with store:
        audit = audit_store(store, {} if given.offline else find_connections(store.backends.all()))
    if given.json:
        tell_document(make_audit_document(audit, database=place.database.absolute()))
    else:
        tell(draw_audit(audit, commands=place.commands))
    return 1 if audit.is_wrong else 0
