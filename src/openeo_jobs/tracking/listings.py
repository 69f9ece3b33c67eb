"""Listings: asked for, and from when on what they show is known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from openeo_jobs.jobs import Listing
from openeo_jobs.policy.failures import pauses_backend
from openeo_jobs.policy.submission import is_first_listing_enough, shows_tags
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log, say_length

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
    if shown is None or shown is run.find_backend(name).keeps_titles:
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
    if run.campaign.created_at >= run.presence.runner.started_at:  # this run began it: nothing is forgotten
        run.listed.add(name)
    elif name not in run.listed:
        _judge_first(run, look)


def _judge_first(run: Run, look: Look) -> None:
    """Do without a complete first listing where none is to be had."""
    name, is_part_missing = look.backend_name, look.listing.is_part_missing
    run.listing_failures[name] += not is_part_missing
    if is_first_listing_enough(
        is_part_missing=is_part_missing,
        times=run.listing_failures[name],
        incomplete_for=look.asked_at - run.incomplete_since[name],
        lost_after=run.settings.lost_after,
    ):
        run.listed.add(name)
        log.warning(
            "%s gives no complete listing; batch jobs that the database does not know may not be noticed",
            name,
        )
    elif is_part_missing:
        message = "%s: a part of it is missing in its listing; nothing new is created there for up to %s"
        run.log_once(("part", name), message, name, say_length(run.settings.lost_after))
