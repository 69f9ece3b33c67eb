"""`openeo-jobs adopt`: a batch job becomes that of a row that waits for a person, or has failed."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openeo_jobs.cli.campaigns import find_place, open_campaign, read_clock, what_now
from openeo_jobs.cli.console import tell
from openeo_jobs.cli.logins import make_connecting
from openeo_jobs.errors import AdoptionError, BackendError, OpenEOJobsError, UsageError
from openeo_jobs.jobs import Backend
from openeo_jobs.policy.orphans import rank
from openeo_jobs.report.figures import count, list_rows
from openeo_jobs.storage.orphans import Orphan
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.deletion import look

_OFFLINE = "it was not to be"


def run(given: Namespace) -> int:
    """Adopt the batch job that is meant, or those of all rows that a restored backup has forgotten."""
    if given.all == (given.row is not None):
        raise UsageError("adopt: which row? --row N --id BATCH_JOB_ID, or --all")
    store, overview = open_campaign(find_place(given))
    with store:
        ask = make_asking(store.backends.all(), is_offline=given.offline)
        if given.all:
            lines, is_done = _adopt_all(store, ask)
        else:
            lines, is_done = adopt_one(store, given.row, *_find(store, given), ask), True
    tell([*lines, *what_now(overview)])
    return 0 if is_done else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a backend says of a batch job, and to whom; or why it could not be asked."""

    is_absent: bool = False
    account: str | None = None
    reason: str | None = None


Ask = Callable[[str, str], Asked]
"""Asks the backend of a name about the batch job of an id."""


def make_asking(backends: Sequence[Backend], *, is_offline: bool) -> Ask:
    """Return what asks backends about batch jobs, with the logins of this machine."""
    connect = make_connecting(backends)
    reasons = {backend.name: _OFFLINE for backend in backends if is_offline}

    def ask(backend_name: str, batch_job_id: str) -> Asked:
        if backend_name not in reasons:
            try:
                gateway = connect(backend_name)
                account, seen = gateway.get_account(), look(gateway, batch_job_id)
                return Asked(account=account, is_absent=seen is None)
            except BackendError as error:
                reasons[backend_name] = str(error)
        return Asked(reason=reasons[backend_name])

    return ask


def adopt_one(store: JobStore, row: int, batch_job_id: str, backend_name: str, ask: Ask) -> list[str]:
    """Make a batch job that of a row; return what to say."""
    job = store.jobs.one(row)
    if job is None:
        raise OpenEOJobsError(f"there is no row {row}; rows are numbered from 1, as `job` in view jobs")
    asked = ask(backend_name, batch_job_id)
    if asked.is_absent:
        whom = f" to account {asked.account}" if asked.account else ""
        raise AdoptionError(
            f"{backend_name} shows no batch job {batch_job_id}{whom}; if it is another account's, log in as "
            f"that, or adopt it unseen: openeo-jobs adopt --row {row} --id {batch_job_id} --offline"
        )
    store.adoptions.adopt(
        job,
        backend_name=backend_name,
        batch_job_id=batch_job_id,
        reason=f"by {getpass.getuser()}: adopt {batch_job_id}",
        at=read_clock(),
        account=asked.account,
    )
    lines = [f"Row {row} has batch job {batch_job_id} on {backend_name} now."]
    if asked.reason is not None:
        lines.append(f"{backend_name} was not asked whether it has it ({asked.reason}); the next run asks.")
    return lines


def _adopt_all(store: JobStore, ask: Ask) -> tuple[list[str], bool]:
    """Adopt, for every row that waits because a batch job of it was unknown, the one that is furthest.

    Return what to say, and whether all rows have one now.
    """
    waiting = {row for row, _ in store.reports.waiting()}
    candidates: dict[int, list[Orphan]] = {}
    for one in store.orphans.open():
        if one.found_at is not None and one.row in waiting:
            candidates.setdefault(one.row, []).append(one)
    if not candidates:
        raise AdoptionError("no row waits because a batch job of it was unknown; nothing to adopt")
    adopted, remarks = [], []
    for row, found in candidates.items():
        best = min(found, key=lambda one: rank(one.seen_status))
        try:
            _, *remark = adopt_one(store, row, best.batch_job_id, best.backend_name, ask)
        except AdoptionError as error:
            remark = [f"Row {row}: {error}"]
        else:
            adopted.append(row)
        remarks += remark
    verb = "has its" if len(adopted) == 1 else "have their"
    rows = f": {list_rows(adopted)}" if adopted else ""
    told = f"{count(len(adopted), 'row')} {verb} batch job again{rows}."
    return [told, *dict.fromkeys(remarks)], len(adopted) == len(candidates)


def _find(store: JobStore, given: Namespace) -> tuple[str, str]:
    """Return the batch job that is meant, and its backend."""
    known = [one for one in store.orphans.open() if one.row == given.row]
    if given.id is None:
        if len(known) != 1:
            raise UsageError(f"adopt: which batch job? --id BATCH_JOB_ID{_choices(known)}")
        return known[0].batch_job_id, known[0].backend_name
    names = [one.backend_name for one in store.orphans.open() if one.batch_job_id == given.id]
    names = [given.backend] if given.backend else names or [one.name for one in store.backends.all()]
    if len(names) != 1:
        raise UsageError(f"adopt: on which backend? --backend NAME ({', '.join(names)})")
    return given.id, names[0]


def _choices(known: Sequence[Orphan]) -> str:
    return f" ({', '.join(one.batch_job_id for one in known)})" if known else ""
