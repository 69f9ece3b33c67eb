"""How far a campaign is, in words for people that add up to the number of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openeo_jobs.jobs import HookStatus, ResultsStatus
from openeo_jobs.report.figures import count
from openeo_jobs.status import FAILED, JobStatus
from openeo_jobs.storage.reports import Overview

COMPLETE = "complete"

_STAGES: tuple[tuple[str, tuple[JobStatus, ...]], ...] = (
    ("running", (JobStatus.RUNNING,)),
    ("queued", (JobStatus.QUEUED, JobStatus.QUEUED_FOR_START)),
    ("submitting", (JobStatus.SUBMITTING, JobStatus.CREATED)),
    ("not started", (JobStatus.NOT_STARTED,)),
    ("failed", tuple(sorted(FAILED))),
    ("canceled", (JobStatus.CANCELED,)),
    ("skipped", (JobStatus.SKIPPED,)),
)
_RESULTS: tuple[tuple[str, tuple[ResultsStatus, ...]], ...] = (
    ("downloading", (ResultsStatus.PENDING, ResultsStatus.DOWNLOADING)),
    ("no results", (ResultsStatus.FAILED,)),
)
_HOOKS = (("hook due", HookStatus.DUE), ("hook failed", HookStatus.FAILED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How many rows are how far, and what more is to say of them."""

    word: str
    rows: int
    note: str = ""


def list_stages(overview: Overview) -> list[Stage]:
    """Return how far the rows are; stages without rows are left out, but for `complete`."""
    finished = overview.by_status.get(JobStatus.FINISHED, 0)
    incomplete = [
        *(
            Stage(word=word, rows=sum(overview.by_results.get(one, 0) for one in statuses))
            for word, statuses in _RESULTS
        ),
        *(Stage(word=word, rows=overview.by_hook.get(status, 0)) for word, status in _HOOKS),
    ]
    stages = [
        Stage(word=COMPLETE, rows=finished - sum(stage.rows for stage in incomplete)),
        *incomplete,
        *(
            Stage(word=word, rows=_sum(overview, statuses), note=_note(overview, word, statuses))
            for word, statuses in _STAGES
        ),
        Stage(
            word="set aside", rows=sum(overview.by_user_status.values()), note=_parts(overview.by_user_status)
        ),
    ]
    return [stage for stage in stages if stage.rows or stage.word == COMPLETE]


def count_complete(overview: Overview) -> int:
    """Count the rows that are complete."""
    return list_stages(overview)[0].rows


def count_failed(overview: Overview) -> int:
    """Count the rows that have failed."""
    return _sum(overview, FAILED)


def count_over(overview: Overview) -> int:
    """Count the rows for which nothing is left to do."""
    over = {COMPLETE, "no results", "hook failed", "failed", "canceled", "skipped", "set aside"}
    return sum(stage.rows for stage in list_stages(overview) if stage.word in over)


def _sum(overview: Overview, statuses: Iterable[JobStatus]) -> int:
    return sum(overview.by_status.get(status, 0) for status in statuses)


def _note(overview: Overview, word: str, statuses: tuple[JobStatus, ...]) -> str:
    if word == "submitting" and overview.unsettled:
        return f"{count(overview.unsettled, 'row')}: outcome of creation unknown"
    if word == "failed":
        return _parts({status: overview.by_status.get(status, 0) for status in statuses})
    return ""


def _parts(counts: dict[str, int] | dict[JobStatus, int]) -> str:
    return ", ".join(f"{rows:,} {word}" for word, rows in counts.items() if rows)
