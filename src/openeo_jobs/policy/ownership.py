"""Whether another process still works on the campaign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from openeo_jobs.jobs import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What this process can see of a runner: its own machine, and when that pid's process started."""

    boot_id: str
    pid_namespace: str
    process_started_at: str | None
    """None: there is no process of that pid."""
    can_see: bool = True
    """False where this process may not look at that one."""


def is_dead(runner: Runner, sighting: Sighting, *, silence: timedelta) -> bool:
    """Say whether *runner* has ended, is proved dead, or has been silent for longer than its own lease.

    Proof needs the same boot of the same machine and the same pid namespace: then its process is gone, or
    another process has its pid.
    """
    if runner.ended_at is not None or is_proved_dead(runner, sighting):
        return True
    return silence > runner.lease


def is_proved_dead(runner: Runner, sighting: Sighting) -> bool:
    """Say whether the process of *runner* is certainly gone."""
    if (runner.boot_id, runner.pid_namespace) != (sighting.boot_id, sighting.pid_namespace):
        return False
    if not sighting.can_see:
        return False
    if sighting.process_started_at is None:
        return True
    return runner.process_started_at not in ("", sighting.process_started_at)
