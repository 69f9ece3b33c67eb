"""The screen of `openeo-jobs status`: how far, how long, how much, who runs it, what needs a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from openeo_jobs.jobs import Runner
from openeo_jobs.policy.submission import effective_cap
from openeo_jobs.report.attention import list_needs
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import (
    count,
    draw_bar,
    format_amount,
    format_instant,
    format_seconds,
)
from openeo_jobs.report.progress import COMPLETE, Stage, list_stages
from openeo_jobs.report.runners import describe_runners
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.costs import Costs
from openeo_jobs.storage.reports import BackendReport, Overview

_BAR = 32


def draw_status(
    overview: Overview,
    *,
    name: str,
    alive: Sequence[Runner],
    groups: int,
    commands: Commands,
    now: datetime,
) -> list[str]:
    """Draw the screen. *name* of the database; *alive*: who runs it; *groups* of failed rows."""
    needs = list_needs(overview, groups=groups, commands=commands, now=now)
    return [
        f"{name}    {count(overview.rows, 'row')}    since {format_instant(overview.created_at, now=now)}",
        *describe_runners(overview.runner, alive, now=now),
        "",
        *(_draw_stage(stage, overview.rows) for stage in list_stages(overview)),
        *([f" {count(overview.canceling, 'row')} to be canceled"] if overview.canceling else []),
        *_draw_backends(overview, now),
        *_draw_costs(overview.costs),
        *(["", "needs you", *needs] if needs else []),
    ]


def _draw_stage(stage: Stage, rows: int) -> str:
    line = f" {stage.word:<12} {stage.rows:>9,}"
    if stage.word == COMPLETE:
        share = stage.rows / rows if rows else 0.0
        # Rounded down: 100 % only when it is true.
        line += f"   {int(share * 1000) / 10:5.1f} %   {draw_bar(share, _BAR)}"
    return f"{line}   {stage.note}".rstrip()


def _draw_backends(overview: Overview, now: datetime) -> list[str]:
    if not overview.backends:
        return []
    width = max(8, *(len(report.backend.name) for report in overview.backends))
    head = f" {'backend':<{width}}     slots  running  queued  complete  failed  attempts  mean run"
    return ["", head, *(_draw_backend(report, width, now) for report in overview.backends)]


def _draw_backend(report: BackendReport, width: int, now: datetime) -> str:
    backend, by_status = report.backend, report.by_status
    is_paused = backend.paused_class or backend.fuse_reason
    cap = effective_cap(backend, backend.parallel_jobs, at=now)
    slots = "paused" if is_paused else f"{report.slots_held} of {cap}"
    queued = by_status.get(JobStatus.QUEUED, 0) + by_status.get(JobStatus.QUEUED_FOR_START, 0)
    run = "-" if report.mean_run_seconds is None else format_seconds(report.mean_run_seconds)
    return (
        f" {backend.name:<{width}} {slots:>9} {by_status.get(JobStatus.RUNNING, 0):>8} {queued:>7}"
        f" {report.complete:>9} {report.failed:>7} {report.attempts:>9} {run:>9}"
    )


def _draw_costs(costs: list[Costs]) -> list[str]:
    lines = [_draw_cost(one) for one in costs]
    return ["", *lines] if lines else []


def _draw_cost(one: Costs) -> str:
    unknown = f"not known yet for {count(one.unknown, 'attempt')}"
    if not one.rows:
        return f" costs on {one.backend_name}: {unknown}"
    currency = f" {one.currency}" if one.currency else ""
    failed = f", {format_amount(one.failed)} of it in failed attempts" if one.failed else ""
    per_row = format_amount(one.total / one.rows)
    rest = f"; {unknown}" if one.unknown else ""
    return (
        f" costs on {one.backend_name}: {format_amount(one.total)}{currency}, {per_row} per row{failed}{rest}"
    )
