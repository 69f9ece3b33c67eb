"""Listings: asked for, and from when on what they show is known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from openeo_jobs.jobs import Listing
from openeo_jobs.policy.failures import pauses_backend
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log

_PATIENCE = 3
"""How many times a backend may refuse its listing before it is submitted to without one."""
_NOTHING = Listing(batch_jobs=(), is_complete=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a backend has listed. It is as of *asked_at*, however long it took to come."""

    backend_name: str
    asked_at: datetime
    listing: Listing


def ask(run: Run, backend_names: Collection[str]) -> None:
    """Ask these backends for their listings, in threads."""
    for name in backend_names:
        run.pool.submit(
            "list",
            lane=name,
            key=name,
            subject=(name, run.now()),
            function=run.gateways[name].list_batch_jobs,
        )


def receive(run: Run, done: Done) -> Look | None:
    """Take in what came of asking for a listing: None where the backend as a whole was away.

    A backend that is there and gives no listing shows nothing, and proves nothing.
    """
    name, asked_at = done.subject
    look = Look(backend_name=name, asked_at=asked_at, listing=done.value or _NOTHING)
    if done.error is not None:
        run.suspect(name, done.error)
        run.log_once(("list", name), "%s: no listing for now: %s", name, done.error)
        if pauses_backend(done.error):
            return None
        _count_failure(run, name)
    else:
        run.note_success(name)
        run.listed.add(name)
        run.looked_at[name] = asked_at
    if look.listing.is_complete:
        run.incomplete_since.pop(name, None)
    else:
        run.incomplete_since.setdefault(name, asked_at)
    return look


def _count_failure(run: Run, name: str) -> None:
    """Do without the first listing of a backend that is there, and refuses it again and again."""
    run.listing_failures[name] += 1
    if name not in run.listed and run.listing_failures[name] >= _PATIENCE:
        run.listed.add(name)
        log.warning("%s gives no listing; batch jobs that the database does not know are not noticed", name)
