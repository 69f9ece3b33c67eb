"""Take over what was edited in a mirror: rows go back in line, in the order of the file, and no more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from openeo_jobs.campaign.reading import read_together
from openeo_jobs.frames import Edited
from openeo_jobs.jobs import Campaign, Job, Mirrored
from openeo_jobs.policy.writing import Refusal, Retry, judge_edit
from openeo_jobs.status import JobStatus, upstream_word
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")

SHOWN = 5
"""How many refused edits are told."""


def take_over_edits(
    store: JobStore,
    read: Callable[[Campaign, Sequence[Job]], Edited],
    *,
    what: str,
    mirror: str,
    content_hash: str,
    keep_copy: Callable[[], Path | None],
    at: datetime,
) -> None:
    """Take over what *read* finds in an edited mirror; the rest is told, and the file kept beside.

    This is how people restart failed rows: a row that is not active and reads `not_started` gets a new
    attempt, and a changed order is the order of submission. *content_hash* is of what the mirror holds now.
    """
    campaign, jobs = read_together(store, store.jobs.all)
    edited = read(campaign, jobs)
    verdicts = _judge(store, edited, _last_written(campaign.mirrors.get(mirror, ())))
    retries = [verdict for verdict in verdicts if isinstance(verdict, Retry)]
    problems = [*(v.describe() for v in verdicts if isinstance(v, Refusal)), *edited.problems]
    copy = keep_copy() if problems else None
    order = [row.job.number for row in edited.rows]
    reason = f"edited in {Path(what).name}"
    has_moved = store.retries.take_over(
        retries, order, mirror=mirror, content_hash=content_hash, reason=reason, at=at
    )
    if retries or has_moved or problems:
        taken = f"{len(retries)} rows are back in line" + (
            ", and the order is taken over" if has_moved else ""
        )
        log.info("%s was edited: %s", what, taken)
    if problems:
        told = "; ".join(problems[:SHOWN]) + ("; ..." if problems[SHOWN:] else "")
        kept = f"; kept as {copy}" if copy is not None else ""
        log.warning("%s: %d edits are not taken over: %s%s", what, len(problems), told, kept)


def _last_written(contents: Sequence[Mirrored]) -> list[Mirrored]:
    """Return what the mirror may have held before it was edited: what was last there, and what came after."""
    there = [i for i, one in enumerate(contents) if one.is_there]
    return list(contents[there[-1] if there else 0 :])


def _judge(store: JobStore, edited: Edited, contents: Sequence[Mirrored]) -> list[Retry | Refusal | None]:
    marks = {one.mark for one in contents} or {0}
    then = [store.jobs.statuses_at(mark) for mark in marks]
    unsettled = store.jobs.changed_since(min(marks))
    return [
        judge_edit(
            row.job,
            row.cells,
            words_then={upstream_word(one.get(row.job.number, JobStatus.NOT_STARTED)) for one in then},
            is_settled=row.job.number not in unsettled,
        )
        for row in edited.rows
        if row.cells
    ]
