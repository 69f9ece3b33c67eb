"""The screen of `openeo-jobs failures`: why rows failed, grouped, with the command that retries them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import count, format_costs, format_span, list_rows, wrap
from openeo_jobs.storage.reports import FailureGroup

_INDENT = "    "


def draw_failures(groups: Sequence[FailureGroup], *, commands: Commands, now: datetime) -> list[str]:
    """Draw the screen; the groups are numbered in their order, from 1."""
    if not groups:
        return ["No row has failed."]
    rows = sum(len(group.rows) for group in groups)
    lines = [f"{count(rows, 'row')} failed, for {count(len(groups), 'reason')}."]
    for number, group in enumerate(groups, start=1):
        lines += ["", *_draw_group(number, group, commands, now)]
    return lines


def _draw_group(number: int, group: FailureGroup, commands: Commands, now: datetime) -> list[str]:
    backends = ", ".join(f"{name} {rows}" for name, rows in group.by_backend.items())
    span = format_span(group.first_at, group.last_at, now=now)
    http = f"HTTP {group.http_status}" if group.http_status else ""
    costs = f"costs {format_costs(group.costs)}" if any(group.costs.values()) else "no costs"
    head = [count(len(group.rows), "row"), group.error_class, http, backends, span]
    return [
        f"{number:<3} " + "   ".join(part for part in head if part),
        *wrap(group.message, indent=_INDENT),
        f"{_INDENT}{list_rows(group.rows)}   {costs}",
        f"{_INDENT}> {commands.retry('--failure', number)}",
    ]
