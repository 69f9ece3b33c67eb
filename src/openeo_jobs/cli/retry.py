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
    """Put the rows that are meant back in line, or let their hooks be called again."""
    _check_given(given)
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        done = _retry_hooks(store, given) if given.hooks else _retry(store, given, place.commands)
    tell([done, *what_now(overview)])
    return 0


def _check_given(given: Namespace) -> None:
    if given.hooks and (given.failure or given.status or given.where is not None):
        raise UsageError("retry --hooks computes nothing anew; of the others, only --row N goes with it")
    if not (given.hooks or given.failure or is_given(given)):
        raise UsageError(
            "retry: which rows? --failure N (see: openeo-jobs failures), --status S, --row N, "
            "--where CONDITION, or --hooks"
        )


def _retry(store: JobStore, given: Namespace, commands: Commands) -> str:
    jobs = _find_jobs(store, given, commands)
    _check(jobs, allows_finished=given.yes)
    retried = store.retries.retry(jobs, reason=_reason(given), at=read_clock())
    return _describe(retried, [job.number for job in jobs])


def _retry_hooks(store: JobStore, given: Namespace) -> str:
    failed = {job.number: job for job in store.hooks.failed()}
    numbers = sorted(set(given.row)) or list(failed)
    others = sorted(set(numbers) - set(failed))
    if others:
        raise OpenEOJobsError(f"the hook of row {others[0]} has not failed; nothing to retry")
    if not numbers:
        raise OpenEOJobsError("no hook has failed; nothing to retry")
    store.hooks.retry([failed[number] for number in numbers])
    return f"{count(len(numbers), 'hook')} to be called again: {list_rows(numbers)}."


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
