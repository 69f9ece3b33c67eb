"""`openeo-jobs retry`: rows back in line, for a new attempt."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections.abc import Iterable

from openeo_jobs.cli.campaigns import find_place, open_campaign, read_clock, what_now
from openeo_jobs.cli.console import tell
from openeo_jobs.cli.selection import describe_options, find_rows, is_given
from openeo_jobs.errors import OpenEOJobsError, UsageError
from openeo_jobs.jobs import Job
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import count, list_rows
from openeo_jobs.status import FAILED, JobStatus
from openeo_jobs.storage.retries import can_retry
from openeo_jobs.storage.store import JobStore


def run(given: Namespace) -> int:
    """Put the rows that are meant back in line."""
    if not given.failure and not is_given(given):
        raise UsageError(
            "retry: which rows? --failure N (see: openeo-jobs failures), --status S, --row N, or "
            "--where CONDITION"
        )
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        jobs = _find_jobs(store, given, place.commands)
        _check(jobs, allows_finished=given.yes)
        retried = store.retries.retry(jobs, reason=_reason(given), at=read_clock())
    tell([_describe(retried, [job.number for job in jobs]), *what_now(overview)])
    return 0


def _find_jobs(store: JobStore, given: Namespace, commands: Commands) -> list[Job]:
    found = {job.number: job for job in _of_failures(store, given.failure, commands)}
    found |= {job.number: job for job in store.jobs.with_numbers(find_rows(store, given))}
    if not found:
        raise OpenEOJobsError(f"no row is meant by {describe_options(given)}; nothing to retry")
    return [found[number] for number in sorted(found)]


def _of_failures(store: JobStore, numbers: Iterable[int], commands: Commands) -> list[Job]:
    numbers = list(numbers)
    groups = store.reports.failures() if numbers else []
    unknown = [number for number in numbers if not 1 <= number <= len(groups)]
    if unknown:
        known = f"there are 1 to {len(groups)}" if groups else "no row has failed"
        raise OpenEOJobsError(f"there is no failure {unknown[0]}: {known}; see: {commands.failures()}")
    rows = {row for number in numbers for row in groups[number - 1].rows}
    return [job for job in store.jobs.of_status(FAILED) if job.number in rows] if rows else []


def _check(jobs: list[Job], *, allows_finished: bool) -> None:
    under_way = [job for job in jobs if not can_retry(job)]
    if under_way:
        first = under_way[0]
        raise OpenEOJobsError(f"row {first.number} is {first.status}: there is nothing to retry")
    finished = [job.number for job in jobs if job.status is JobStatus.FINISHED]
    if finished and not allows_finished:
        raise UsageError(
            f"{list_rows(finished)}: finished; another attempt computes the same anew and spends credits. "
            "If that is meant, add --yes"
        )


def _reason(given: Namespace) -> str:
    return f"by {getpass.getuser()}: retry {describe_options(given, 'failure')}"


def _describe(retried: int, numbers: list[int]) -> str:
    moved = len(numbers) - retried
    rest = f" ({count(moved, 'row')} changed meanwhile and stayed)" if moved else ""
    return f"{count(retried, 'row')} back in line: {list_rows(numbers)}{rest}."
