"""`openeo-jobs cancel`: rows that are not to be computed, or not any further."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections.abc import Iterable, Sequence

from openeo_jobs.canceling import Canceled, cancel_rows
from openeo_jobs.cli.campaigns import find_place, open_campaign, what_now
from openeo_jobs.cli.console import confirm, tell
from openeo_jobs.cli.logins import find_connections
from openeo_jobs.cli.selection import describe_options, find_rows, is_given
from openeo_jobs.errors import OpenEOJobsError, UsageError
from openeo_jobs.jobs import Job
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import count, list_rows
from openeo_jobs.status import ACTIVE


def run(given: Namespace) -> int:
    """Cancel the rows that are meant; 1 if a backend was asked and did not do it."""
    if not is_given(given):
        raise UsageError("cancel: which rows? --row N, --status S, or --where CONDITION")
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        numbers = find_rows(store, given)
        if not numbers:
            raise OpenEOJobsError("no row is meant by that; nothing to cancel")
        _ask(store.jobs.with_numbers(numbers), is_sure=given.yes)
        reason = f"by {getpass.getuser()}: cancel {describe_options(given)}"
        outcome = cancel_rows(store, numbers, find_connections(store.backends.all()), reason=reason)
    tell([*_describe(outcome, place.commands), *what_now(overview)])
    return 1 if outcome.errors else 0


def _ask(jobs: Sequence[Job], *, is_sure: bool) -> None:
    """Let a person confirm where something is stopped that has been begun."""
    begun = [job.number for job in jobs if job.status in ACTIVE]
    if begun and not is_sure:
        what = f"{count(len(jobs), 'row')}, of which {len(begun)} under way: {list_rows(begun)}"
        confirm("cancel", what, otherwise="nothing was canceled")


def _describe(outcome: Canceled, commands: Commands) -> Iterable[str]:
    if outcome.canceled:
        yield f"{count(len(outcome.canceled), 'row')} canceled: {list_rows(outcome.canceled)}."
    if outcome.asked:
        who = "the run asks their backends in its next round" if outcome.is_run else "the next run does it"
        yield f"{count(len(outcome.asked), 'row')} to be canceled: {list_rows(outcome.asked)}; {who}."
    for number, error in outcome.errors.items():
        yield f"row {number}: not canceled yet: {error}"
    if outcome.left:
        left = f"{count(len(outcome.left), 'row')} left: {list_rows(outcome.left)}"
        yield f"{left}: over already, or waiting for you (see: {commands.status()})."
