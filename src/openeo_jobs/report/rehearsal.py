"""What `openeo-jobs demo` shows: the campaign while it runs, its end, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openeo_jobs.jobs import ErrorClass
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import (
    WIDTH,
    count,
    draw_bar,
    format_amount,
    format_seconds,
    format_size,
    wrap,
)
from openeo_jobs.report.progress import count_complete, count_failed, count_over
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.reports import BackendReport, FailureGroup, Overview

_BAR = 40
_BACK_AFTER_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the database says after so many *seconds*.

    `failures` maps rows to why they failed, `pauses` backends to the seconds at which their pause was first
    and last seen: one that comes back for a moment, to be refused again, has not come back.
    """

    seconds: float
    overview: Overview
    failures: dict[int, str] = field(default_factory=dict)
    pauses: dict[str, tuple[float, float]] = field(default_factory=dict)


def make_moment(
    overview: Overview, groups: Sequence[FailureGroup], *, before: Moment | None, seconds: float
) -> Moment:
    """Make the moment after *before*; a failed row whose reason is still to be fetched is not told yet."""
    failures = {row: _why(group) for group in groups if group.key for row in group.rows}
    known = before.pauses if before else {}
    pauses = {name: seen for name, seen in known.items() if seconds - seen[1] < _BACK_AFTER_SECONDS}
    for report in overview.backends:
        if report.backend.paused_class:
            first, _ = known.get(report.backend.name, (seconds, seconds))
            pauses[report.backend.name] = (first, seconds)
    return Moment(seconds=seconds, overview=overview, failures=failures, pauses=pauses)


def list_events(before: Moment | None, after: Moment) -> list[str]:
    """Say what happened between two moments: rows that failed, backends that paused and came back."""
    pauses, failures = (before.pauses, before.failures) if before else ({}, {})
    unsettled, known = after.overview.unsettled, before.overview.unsettled if before else 0
    reasons = {report.backend.name: report.backend.paused_reason for report in after.overview.backends}
    events = [
        *(f"{name} paused, its rows wait: {reasons[name]}" for name in after.pauses if name not in pauses),
        *(
            f"{name} is back after {last - first:.0f} s"
            for name, (first, last) in pauses.items()
            if name not in after.pauses
        ),
        *([f"{count(unsettled, 'row')}: outcome of creation unknown"] if unsettled > known else []),
        *(f"row {row} {why}" for row, why in after.failures.items() if row not in failures),
    ]
    return [shorten(f" {after.seconds:5.1f} s  {event}") for event in events]


def shorten(line: str) -> str:
    """Make *line* fit the screen."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _why(group: FailureGroup) -> str:
    kind = group.error_class if group.error_class == ErrorClass.REMOTE_ERROR else "failed"
    return f"{kind}: {group.message}"


def draw_start(*, seconds: float) -> list[str]:
    """Draw what is seen before the campaign has begun."""
    return ["", f" Python imports openeo, two backends start ...   {seconds:.0f} s"]


def draw_progress(moment: Moment) -> list[str]:
    """Draw the campaign while it runs."""
    overview, seconds = moment.overview, moment.seconds
    over = count_over(overview)
    share = over / overview.rows if overview.rows else 0.0
    left = seconds / share - seconds if share >= 0.2 else 0.0
    end = f", about {left:.0f} s left" if left >= 1 else ""
    return [
        "",
        *(_draw_backend(report) for report in overview.backends),
        f" {draw_bar(share, _BAR):<{_BAR}}   {over} of {overview.rows}   {seconds:.0f} s{end}",
    ]


def draw_summary(overview: Overview, *, seconds: float, folder: Path) -> list[str]:
    """Draw the end: how many rows are complete, what each backend did, where everything is."""
    complete, failed = count_complete(overview), count_failed(overview)
    verb = f"; {failed} failed" if failed else ""
    costs = {one.backend_name: f"{format_amount(one.total)} {one.currency or ''}" for one in overview.costs}
    files = (
        f"{count(overview.assets, 'file')} of {count(complete, 'row')}, {format_size(overview.assets_size)}"
    )
    return [
        "",
        f"{complete} of {overview.rows} rows complete in {seconds:.1f} s{verb}.",
        "",
        "           rows  complete  failed  attempts  mean run             costs",
        *(_draw_total(report, costs.get(report.backend.name, "-")) for report in overview.backends),
        "",
        *_place("database", folder / "jobs.sqlite", "the truth; any SQL tool opens it"),
        *_place("mirror", folder / "jobs.csv", "for Excel, pandas, colleagues"),
        *_place("results", folder / "results", files),
        *_place("script", folder / "campaign.py", "what ran: change the urls, run yours"),
    ]


def draw_next(overview: Overview, *, folder: Path, python: str, commands: Commands) -> list[str]:
    """Say what to type next; every line works when it is typed after the one before."""
    steps = [(f"cd {folder}", ""), (commands.status(), "how far, how much, who needs you")]
    if count_failed(overview):
        steps += [
            (commands.failures(), "why rows failed, and how to retry them"),
            (commands.retry("--failure", 1), "puts those of reason 1 back in line"),
        ]
    steps.append((f"{python} campaign.py 4G", "goes on; with 4G of memory they pass"))
    return [
        f"{'Next:' if not index else '':<6} {command:<34} {why}".rstrip()
        for index, (command, why) in enumerate(steps)
    ]


def draw_interruption(overview: Overview | None, *, folder: Path, python: str) -> list[str]:
    """Say where it was interrupted, and how to go on."""
    if overview is None:
        done = "Interrupted before it began."
    else:
        done = f"Interrupted: {count_complete(overview)} of {overview.rows} rows are complete, none is lost."
    return [done, f"Go on with: cd {folder} && {python} campaign.py"]


def _draw_backend(report: BackendReport) -> str:
    backend, by_status = report.backend, report.by_status
    if backend.paused_class:
        now = f"paused: {backend.paused_reason}"[:40]
    else:
        queued = by_status.get(JobStatus.QUEUED, 0) + by_status.get(JobStatus.QUEUED_FOR_START, 0)
        slots = f"{report.slots_held} of {backend.parallel_jobs} slots"
        now = f"{slots}   running {by_status.get(JobStatus.RUNNING, 0)}   queued {queued}"
    return f" {backend.name:<8} {now:<41} complete {report.complete:>3}   failed {report.failed}"


def _draw_total(report: BackendReport, costs: str) -> str:
    run = "-" if report.mean_run_seconds is None else format_seconds(report.mean_run_seconds)
    return (
        f" {report.backend.name:<8} {report.rows:>5} {report.complete:>9} {report.failed:>7}"
        f" {report.attempts:>9} {run:>9} {costs.strip():>17}"
    )


def _place(what: str, path: Path, text: str) -> list[str]:
    line = f" {what:<9} {path!s:<30}  {text}"
    return [line] if len(line) <= 80 else [f" {what:<9} {path}", *wrap(text, indent=" " * 11)]
