"""A simulator, and a process that forks others, for all tests of a file."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from zygote import zygote

from campaigning import QUICK
from openeo_jobs.simulator import Simulator

_FORKING = ("concurrency", "cut_downloads", "hook_kills", "kill_matrix", "soak")
collect_ignore = [] if sys.platform == "linux" else [f"test_{name}.py" for name in _FORKING]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with zygote(tmp_path_factory.mktemp("zygote")) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: what outlives a killed process needs no disk."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    quick = {**QUICK, "queue_seconds": (0.0, 0.01), "run_seconds": (0.01, 0.02)}
    with Simulator(folder=tmp_path_factory.mktemp("north"), seed=1, name="north", **quick) as backend:
        yield backend
