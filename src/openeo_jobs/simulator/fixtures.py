"""The pytest fixture `simulator`: import it in a conftest.py, or in a test module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openeo_jobs.simulator.backend import Simulator


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """Run a simulated backend for one test; its folder is `simulator` in `tmp_path`."""
    with Simulator(folder=tmp_path / "simulator") as backend:
        yield backend
