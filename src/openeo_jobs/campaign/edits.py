"""Take over what was edited in a mirror: rows go back in line, in the order of the file, and no more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from openeo_jobs.frames import read_edited
from openeo_jobs.jobs import Campaign
from openeo_jobs.policy.writing import Refusal, Retry, judge_edit
from openeo_jobs.status import JobStatus, upstream_word
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")

SHOWN = 5
"""How many refused edits are told."""


def take_over_edits(
    store: JobStore,
    campaign: Campaign,
    path: Path,
    *,
    known: Mapping[str, int],
    note: tuple[str, str],
    keep_copy: Callable[[], Path],
    at: datetime,
) -> None:
    """Take over the edits of the mirror at *path*; the rest is told, and the file kept beside.

    This is how people restart failed rows: a row that is not active and reads `not_started` gets a new
    attempt, and a changed order is the order of submission. *known* are the contents that were ours (see
    `Campaign.mirrors`), *note* is the mirror's name there and the hash of what it holds now.
    """
    _, jobs = store.jobs.snapshot()
    edited = read_edited(path, campaign, jobs)
    then = [store.jobs.statuses_at(mark) for mark in set(known.values())]
    unsettled = store.jobs.changed_since(min(known.values()))
    verdicts = [
        judge_edit(
            row.job,
            row.cells,
            words_then={upstream_word(one.get(row.job.number, JobStatus.NOT_STARTED)) for one in then},
            is_settled=row.job.number not in unsettled,
        )
        for row in edited.rows
        if row.cells
    ]
    retries = [verdict.job for verdict in verdicts if isinstance(verdict, Retry)]
    problems = [*(v.describe() for v in verdicts if isinstance(v, Refusal)), *edited.problems]
    copy = keep_copy() if problems else None
    order = [row.job.number for row in edited.rows]
    has_moved = store.retries.take_over_edits(
        retries, order, mirror=note[0], content_hash=note[1], reason=f"edited in {path.name}", at=at
    )
    taken = f"{len(retries)} rows are back in line" + (", and the order is taken over" if has_moved else "")
    log.info("%s was edited: %s", path, taken)
    if problems:
        told = "; ".join(problems[:SHOWN]) + ("; ..." if problems[SHOWN:] else "")
        log.warning("%s: %d edits are not taken over: %s; kept as %s", path, len(problems), told, copy)
