"""Audit a campaign: its database, and what its backends list of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import DatabaseError
from openeo_jobs.jobs import Backend, Listing
from openeo_jobs.policy.audit import Audit, BackendFacts, judge_backend, judge_database
from openeo_jobs.policy.orphans import Origin, sort_out
from openeo_jobs.policy.tags import find_tag
from openeo_jobs.storage.store import JobStore, find_database, open_store

NOT_ASKED = "it was not asked: there is no connection to it"


def audit(path: str | Path, connections: Mapping[str, Any | Callable[[], Any]] | None = None) -> Audit:
    """Go through the campaign at *path*: what is wrong with it, and what could not be checked.

    *path* is its database, or its CSV or Parquet file. *connections* has, by the names of its backends, an
    `openeo.Connection`, or a callable that makes one; each of them is asked for its list of batch jobs, and
    for nothing else. Backends that are not in there, or do not answer, are `not checked`. Nothing is changed.

    The result says whether anything `is_wrong`, and has the `findings` one by one, each with a `verdict`:
    `fine`, `wrong`, `note` or `not checked`. Raises `DatabaseError` for a database that cannot be used.
    """
    with open_store(find_database(path)) as store:
        return audit_store(store, connections or {})


def audit_store(store: JobStore, connections: Mapping[str, Any | Callable[[], Any]]) -> Audit:
    """Go through the campaign of an open *store*; see `audit`."""
    campaign = store.campaigns.load()
    if campaign is None:
        raise DatabaseError(f"{store.path} holds no rows yet; the script that made it has not begun")
    facts = store.audits.facts()
    findings = judge_database(facts)
    for backend in store.backends.all():
        findings += judge_backend(_gather(store, campaign.uid, backend, connections.get(backend.name)))
    return Audit(
        database=store.path,
        rows=facts.rows,
        attempts=facts.attempts,
        batch_jobs=facts.batch_jobs,
        findings=tuple(findings),
    )


def _list(name: str, connection: Any) -> tuple[Listing | None, str]:
    """Ask a backend for its batch jobs; return them, or why they are not known."""
    if connection is None:
        return None, NOT_ASKED
    try:
        made = connection() if callable(connection) else connection
        return OpenEOGateway(name, lambda: made).list_batch_jobs(), ""
    except Exception as error:
        return None, str(as_backend_error(error) or f"{type(error).__name__}: {error}")


def _gather(store: JobStore, uid: str, backend: Backend, connection: Any) -> BackendFacts:
    """Gather what the database and a listing say: a run may go on meanwhile, and so the order matters.

    What has to be listed was under way before the backend was asked; what it lists was stored before.
    """
    active = store.audits.active(backend.name)
    listing, reason = _list(backend.name, connection)
    batch_jobs = {seen.batch_job_id: seen for seen in listing.batch_jobs} if listing else {}
    tags = {one: tag for one, seen in batch_jobs.items() if (tag := find_tag(seen.title, uid))}
    unknown = store.orphans.unknown(backend.name, {one: tag.text for one, tag in tags.items()})
    new = sort_out((batch_jobs[one], tags[one], post) for one, post in unknown)
    known = [one for one in store.orphans.open() if one.backend_name == backend.name]
    strays = {one.batch_job_id: one.row for one in known if one.found_at is not None}
    orphans = {one.batch_job_id: one.row for one in known if one.found_at is None}
    for find in new:
        kind = strays if find.origin is Origin.STRAY else orphans
        kind[find.seen.batch_job_id] = find.tag.row
    return BackendFacts(
        name=backend.name,
        listing=listing,
        reason=reason,
        keeps_titles=backend.keeps_titles,
        tagged=len(tags),
        untagged=store.audits.count_untagged(backend.name),
        orphans=orphans,
        started=frozenset(one.batch_job_id for one in known if one.was_started),
        strays=strays,
        active=active,
    )
