"""`openeo-jobs simulate`: a local openEO backend to rehearse on."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields, replace
from pathlib import Path

from openeo_jobs.cli.console import tell
from openeo_jobs.simulator import PROFILES, Failures, Simulator
from openeo_jobs.simulator.profiles import find_profile
from openeo_jobs.simulator.serve import run as serve


def run(given: Namespace) -> int:
    """Serve until Ctrl-C, or list the profiles."""
    if given.list_profiles:
        tell([f"{name:18} {profile.summary}" for name, profile in PROFILES.items()])
        return 0
    serve(_make_simulator(given), announce=lambda simulator: tell(_describe(simulator)))
    return 0


def _make_simulator(given: Namespace) -> Simulator:
    return Simulator(
        folder=getattr(given, "folder", None) or Path(".simulator") / given.name,
        name=given.name,
        port=given.port,
        seed=given.seed,
        queue_seconds=tuple(sorted(given.queue_seconds)),
        run_seconds=tuple(sorted(given.run_seconds)),
        latency_seconds=given.latency_seconds,
        concurrent_jobs=getattr(given, "concurrent_jobs", None),
        profile=given.profile,
        failures=read_failures(given),
        unavailable=tuple(given.unavailable) if "unavailable" in given else None,
    )


def read_failures(given: Namespace) -> Failures | None:
    """Return the failures of the profile with the shares that were given; None where none was."""
    names = [one.name for one in fields(Failures) if one.name in given]
    shares = {name: getattr(given, name) for name in names}
    return replace(find_profile(given.profile).failures, **shares) if shares else None


def _describe(simulator: Simulator) -> list[str]:
    return [
        f"{simulator.name} answers at {simulator.url}",
        f' connect   openeo.connect("{simulator.url}").authenticate_basic("user", "password")',
        f" folder    {simulator.folder}   started again there, it goes on at the same url",
        " stop      Ctrl-C",
    ]
