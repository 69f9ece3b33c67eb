"""Audit a campaign: its database, what its backends list of it, and the files of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import DatabaseError
from openeo_jobs.jobs import Backend, Listing
from openeo_jobs.policy.audit import Audit, BackendFacts, Finding, judge_backend, judge_database
from openeo_jobs.policy.orphans import Origin, sort_out
from openeo_jobs.policy.submission import shows_tags
from openeo_jobs.policy.tags import find_tag
from openeo_jobs.policy.verification import Tally
from openeo_jobs.report.audit import draw_audit
from openeo_jobs.report.commands import Commands
from openeo_jobs.storage.store import JobStore, find_database, open_store
from openeo_jobs.tracking.verification import verify, verify_all


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DrawnAudit(Audit):
    """An audit that reads as `openeo-jobs audit` shows it, when it is printed or looked at in a notebook."""

    def __str__(self) -> str:
        """Draw the table."""
        return "\n".join(draw_audit(self, commands=Commands(path=str(self.database))))

    __repr__ = __str__


NOT_ASKED = "it was not asked: there is no connection to it"


def audit(
    path: str | Path,
    connections: Mapping[str, Any | Callable[[], Any]] | None = None,
    *,
    files: bool = False,
) -> DrawnAudit:
    """Go through the campaign at *path*: what is wrong with it, and what could not be checked.

    *path* is its database, or its CSV or Parquet file. *connections* has, by the names of its backends, an
    `openeo.Connection`, or a callable that makes one; each of them is asked as whom it is logged in, and for
    its list of batch jobs. Backends that are not in there, or do not answer, are `not checked`. With *files*,
    every file of the complete rows is read, and compared with the size and SHA-256 that it had when it
    arrived; rows whose `on_job_done` has fetched them are `not checked`. Nothing is changed.

    The result prints as the table of `openeo-jobs audit`. It says whether anything `is_wrong`, and has the
    `findings` one by one, each with a `verdict`: `fine`, `wrong`, `note` or `not checked`. Raises
    `DatabaseError` for a database that cannot be used.
    """
    with open_store(find_database(path)) as store:
        return audit_store(store, connections or {}, files=files)


def audit_store(
    store: JobStore,
    connections: Mapping[str, Any | Callable[[], Any]],
    *,
    files: bool,
    watch: Callable[[Tally], None] = lambda tally: None,
) -> DrawnAudit:
    """Go through the campaign of an open *store*; see `audit`.

    *watch* is called after each row whose files were read.
    """
    campaign = store.campaigns.load()
    if campaign is None:
        raise DatabaseError(f"{store.path} holds no rows yet; the script that made it has not begun")
    facts = store.audits.facts()
    findings = judge_database(facts)
    if files:
        findings += _verify_files(store, watch)
    for backend in store.backends.all():
        findings += judge_backend(_gather(store, campaign.uid, backend, connections.get(backend.name)))
    return DrawnAudit(
        database=store.path,
        rows=facts.rows,
        attempts=facts.attempts,
        batch_jobs=facts.batch_jobs,
        findings=tuple(findings),
    )


def _verify_files(store: JobStore, watch: Callable[[Tally], None]) -> list[Finding]:
    """Read the files of all complete rows.

    A run may go on meanwhile: where something is wrong, the row is looked at once more, as it is then.
    """
    tally = Tally(store.path.parent.absolute())
    for verified in verify_all(store.complete.all()):
        now = store.complete.one(verified.row.number) if verified.flaws else verified.row
        if now is not None:
            tally.add(verified if now == verified.row else verify(now))
        watch(tally)
    return tally.findings()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a backend lists, and to whom; or the reason why that is not known."""

    listing: Listing | None = None
    account: str | None = None
    reason: str = ""

    def is_about(self, account: str | None) -> bool:
        """Say whether it could show a batch job of *account*, as far as is known."""
        return None in (self.account, account) or self.account == account


def _ask(name: str, connection: Any) -> _Answer:
    if connection is None:
        return _Answer(reason=NOT_ASKED)
    try:
        made = connection() if callable(connection) else connection
        gateway = OpenEOGateway(name, lambda: made)
        return _Answer(account=gateway.get_account(), listing=gateway.list_batch_jobs())
    except Exception as error:
        return _Answer(reason=str(as_backend_error(error) or f"{type(error).__name__}: {error}"))


def _gather(store: JobStore, uid: str, backend: Backend, connection: Any) -> BackendFacts:
    """Gather what the database and a listing say: a run may go on meanwhile, and so the order matters.

    What has to be listed was under way before the backend was asked; what it lists was stored before.
    """
    active = store.audits.active(backend.name)
    answer = _ask(backend.name, connection)
    batch_jobs = {seen.batch_job_id: seen for seen in answer.listing.batch_jobs} if answer.listing else {}
    tags = {one: tag for one, seen in batch_jobs.items() if (tag := find_tag(seen.title, uid))}
    unknown = store.orphans.unknown(backend.name, {one: tag.text for one, tag in tags.items()})
    new = sort_out((batch_jobs[one], tags[one], post) for one, post in unknown)
    known = [
        one
        for one in store.orphans.open()
        if one.backend_name == backend.name and answer.is_about(one.account)
    ]
    strays = {one.batch_job_id: one.row for one in known if one.found_at is not None}
    orphans = {one.batch_job_id: one.row for one in known if one.found_at is None}
    for find in new:
        kind = strays if find.origin is Origin.STRAY else orphans
        kind[find.seen.batch_job_id] = find.tag.row
    shown = shows_tags(batch_jobs.values(), store.backends.tags(backend.name))
    return BackendFacts(
        name=backend.name,
        listing=answer.listing,
        reason=answer.reason,
        keeps_titles=backend.keeps_titles if shown is None else shown,
        tagged=len(tags),
        untagged=store.audits.count_untagged(backend.name),
        orphans=orphans,
        started=frozenset(one.batch_job_id for one in known if one.was_started),
        strays=strays,
        active={one: row for one, (row, account) in active.items() if answer.is_about(account)},
        others=store.logins.count_others(backend.name, answer.account) if answer.account else 0,
    )
