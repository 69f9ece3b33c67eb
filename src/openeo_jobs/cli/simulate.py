"""`openeo-jobs simulate`: a local openEO backend to rehearse on."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from openeo_jobs.cli.console import tell
from openeo_jobs.simulator import Failures, Simulator
from openeo_jobs.simulator.serve import run as serve


def run(given: Namespace) -> int:
    """Serve until Ctrl-C."""
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
        failures=Failures(out_of_memory=given.out_of_memory, stage_failure=given.stage_failure),
        unavailable=tuple(given.unavailable) if "unavailable" in given else None,
    )


def _describe(simulator: Simulator) -> list[str]:
    return [
        f"{simulator.name} answers at {simulator.url}",
        f' connect   openeo.connect("{simulator.url}").authenticate_basic("user", "password")',
        f" folder    {simulator.folder}   started again there, it goes on at the same url",
        " stop      Ctrl-C",
    ]
