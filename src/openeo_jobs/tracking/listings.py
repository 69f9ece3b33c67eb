"""Listings: asked for, and from when on what they show is known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from openeo_jobs.jobs import Listing
from openeo_jobs.policy.failures import pauses_backend
from openeo_jobs.policy.submission import shows_tags
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log, say_length

_PATIENCE = 3
"""How many times a backend may give no complete listing before it is submitted to without one."""
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
    else:
        run.note_success(name)
        run.looked_at[name] = asked_at
        _learn_titles(run, look)
    _note(run, look)
    return look


def _learn_titles(run: Run, look: Look) -> None:
    """Learn from the batch jobs of ours whether listings have titles, and so prove that a tag is absent."""
    name = look.backend_name
    shown = shows_tags(look.listing.batch_jobs, run.store.backends.tags(name))
    if shown is None or shown is run.store.backends.one(name).keeps_titles:
        return
    run.store.backends.record_titles(name, keeps_titles=shown)
    if not shown:
        log.warning("%s lists batch jobs without the titles that they were created with", name)


def _note(run: Run, look: Look) -> None:
    """Note since when listings are incomplete, and whether the first one of this run will do."""
    name = look.backend_name
    if look.listing.is_complete:
        run.incomplete_since.pop(name, None)
        run.listed.add(name)
        return
    run.incomplete_since.setdefault(name, look.asked_at)
    if name not in run.listed and _will_do(run, look):
        run.listed.add(name)


def _will_do(run: Run, look: Look) -> bool:
    """Say whether a first listing that is not complete will do, for new batch jobs to be created.

    It tells of batch jobs that this database has forgotten (a restored backup): a campaign that this run has
    begun has none. What is in a part of a federation that is missing is waited for, though not for ever.
    """
    name = look.backend_name
    if run.campaign.created_at >= run.presence.runner.started_at:
        return True
    if look.listing.is_part_missing:
        message = "%s: a part of it is missing in its listing; nothing new is created there for up to %s"
        run.log_once(("part", name), message, name, say_length(run.settings.lost_after))
        will_do = look.asked_at - run.incomplete_since[name] > run.settings.lost_after
    else:
        run.listing_failures[name] += 1
        will_do = run.listing_failures[name] >= _PATIENCE
    if will_do:
        log.warning(
            "%s gives no complete listing; batch jobs that the database does not know may not be noticed",
            name,
        )
    return will_do
