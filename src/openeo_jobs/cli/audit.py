"""`openeo-jobs audit`: whether anything is wrong with a campaign, and what could not be checked."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openeo_jobs.auditing import audit_store
from openeo_jobs.cli.campaigns import find_place, open_campaign, what_now
from openeo_jobs.cli.console import tell, tell_document
from openeo_jobs.cli.display import Display
from openeo_jobs.cli.logins import find_connections
from openeo_jobs.policy.verification import Tally
from openeo_jobs.report.audit import draw_audit, make_audit_document
from openeo_jobs.report.figures import count, format_size


def run(given: Namespace) -> int:
    """Go through the campaign; 1 if something is wrong."""
    place = find_place(given)
    store, overview = open_campaign(place)
    with store, _watching(store.complete.count()) as watch:
        connections = {} if given.offline else find_connections(store.backends.all())
        audit = audit_store(store, connections, files=given.files, watch=watch)
    if given.json:
        tell_document(make_audit_document(audit, database=place.database.absolute()))
    else:
        tell([*draw_audit(audit, commands=place.commands), *what_now(overview)])
    return 1 if audit.is_wrong else 0


@contextmanager
def _watching(rows: int) -> Iterator[Callable[[Tally], None]]:
    """Show how far it is with the files of so many *rows*, on stderr."""
    began = time.monotonic()
    with Display(is_error=True, every_seconds=0.2, plain_every_seconds=30) as display:

        def watch(tally: Tally) -> None:
            line = f"files of {tally.rows:,} of {count(rows, 'row')} read, {format_size(tally.size)}"
            display.show([line], seconds=time.monotonic() - began)

        yield watch
