"""Who acts on a campaign now; where nobody does, how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from openeo_jobs.jobs import Runner
from openeo_jobs.report.commands import go_on
from openeo_jobs.report.figures import format_length


def describe_runners(latest: Runner | None, alive: Sequence[Runner], *, now: datetime) -> list[str]:
    """Say who runs the campaign, a line for each; *latest* is the one that began last, alive or not."""
    if latest is None:
        return ["Nothing has run this campaign yet."]
    if not alive:
        return [f"Nothing runs this campaign now. Go on with: {go_on(latest)}"]
    return [_describe(runner, now) for runner in alive]


def _describe(runner: Runner, now: datetime) -> str:
    assert runner.last_round_at is not None, "a runner without a round is no run"
    last = f"last round {format_length(now - runner.last_round_at)} ago"
    return f"run by {runner.host}, pid {runner.pid}: {runner.command}   {last}"
