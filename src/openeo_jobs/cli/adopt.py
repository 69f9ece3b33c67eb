"""`openeo-jobs adopt`: a batch job becomes that of a row that waits for a person, or has failed."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections.abc import Sequence

from openeo_jobs.cli.campaigns import find_place, open_campaign, read_clock, what_now
from openeo_jobs.cli.console import tell
from openeo_jobs.errors import AdoptionError, OpenEOJobsError, UsageError
from openeo_jobs.policy.orphans import rank
from openeo_jobs.report.figures import count, list_rows
from openeo_jobs.storage.orphans import Orphan
from openeo_jobs.storage.store import JobStore


def run(given: Namespace) -> int:
    """Adopt the batch job that is meant, or those of all rows that a restored backup has forgotten."""
    if given.all == (given.row is not None):
        raise UsageError("adopt: which row? --row N --id BATCH_JOB_ID, or --all")
    store, overview = open_campaign(find_place(given))
    with store:
        if given.all:
            lines = _adopt_all(store)
        else:
            batch_job_id, backend_name = _find(store, given)
            lines = [adopt_one(store, given.row, batch_job_id, backend_name)]
    tell([*lines, *what_now(overview)])
    return 0


def adopt_one(store: JobStore, row: int, batch_job_id: str, backend_name: str) -> str:
    """Make a batch job that of a row; return what to say."""
    job = store.jobs.one(row)
    if job is None:
        raise OpenEOJobsError(f"there is no row {row}; rows are numbered from 1, as `job` in view jobs")
    store.adoptions.adopt(
        job,
        backend_name=backend_name,
        batch_job_id=batch_job_id,
        reason=f"by {getpass.getuser()}: adopt {batch_job_id}",
        at=read_clock(),
    )
    return f"Row {row} has batch job {batch_job_id} on {backend_name} now."


def _adopt_all(store: JobStore) -> list[str]:
    """Adopt, for every row that waits because a batch job of it was unknown, the one that is furthest."""
    waiting = {row for row, _ in store.reports.waiting()}
    candidates: dict[int, list[Orphan]] = {}
    for one in store.orphans.open():
        if one.found_at is not None and one.row in waiting:
            candidates.setdefault(one.row, []).append(one)
    if not candidates:
        raise AdoptionError("no row waits because a batch job of it was unknown; nothing to adopt")
    for row, found in candidates.items():
        best = min(found, key=lambda one: rank(one.seen_status))
        adopt_one(store, row, best.batch_job_id, best.backend_name)
    number = len(candidates)
    verb = "has its" if number == 1 else "have their"
    return [f"{count(number, 'row')} {verb} batch job again: {list_rows(candidates)}."]


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
