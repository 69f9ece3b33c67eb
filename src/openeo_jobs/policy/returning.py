"""Coming back after a gap: the machine slept, or the process was suspended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from openeo_jobs.status import FAILED, JobStatus

FOREVER = timedelta(days=36_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which this process did nothing, not even read the clock."""

    since: datetime
    until: datetime


def find_gap(last: datetime, at: datetime, *, lease: timedelta) -> Gap | None:
    """Return the gap between two readings of the clock, if it is longer than *lease*."""
    return Gap(since=last, until=at) if at - last > lease else None


def describe_news(changed: Mapping[JobStatus, int]) -> str:
    """Say how many rows have changed to what, those that have ended first."""
    order = [JobStatus.FINISHED, *sorted(FAILED), *JobStatus]
    words = [f"{changed[status]} {status}" for status in dict.fromkeys(order) if changed.get(status)]
    if not words:
        return "nothing has changed"
    rows = "row" if sum(changed.values()) == 1 else "rows"
    number, first = words[0].split(" ", 1)
    return ", ".join([f"{number} {rows if number != '1' else 'row'} {first}", *words[1:]])
