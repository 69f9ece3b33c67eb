"""What many tests need: two simulated backends, and a manager on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from campaigning import QUICK, connect_to
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Simulator


@pytest.fixture
def north(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(folder=tmp_path / "north", seed=1, name="north", **QUICK) as backend:
        yield backend


@pytest.fixture
def south(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(folder=tmp_path / "south", seed=2, name="south", **QUICK) as backend:
        yield backend


@pytest.fixture
def make_manager(tmp_path: Path) -> Callable[..., MultiBackendJobManager]:
    """Make a manager, quick, on the given simulators; `cls` is its class."""

    def make(
        *simulators: Simulator, cls: type = MultiBackendJobManager, parallel_jobs: int = 4, **kwargs: Any
    ) -> MultiBackendJobManager:
        manager = cls(**{"poll_sleep": 0.05, "root_dir": tmp_path / "results", **kwargs})
        for simulator in simulators:
            manager.add_backend(simulator.name, connect_to(simulator), parallel_jobs=parallel_jobs)
        return manager

    return make
