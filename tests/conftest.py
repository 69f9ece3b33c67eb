"""What many tests need: two simulated backends, a manager on them, and a look at what came out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openeo
import pandas as pd
import pytest

from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Simulator

QUICK: dict[str, Any] = {"queue_seconds": (0.0, 0.02), "run_seconds": (0.02, 0.08)}


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


def connect_to(simulator: Simulator) -> Callable[[], openeo.Connection]:
    return connect_to_url(simulator.url)


def connect_to_url(url: str) -> Callable[[], openeo.Connection]:
    return lambda: openeo.connect(url).authenticate_basic("user", "password")


def make_rows(number: int) -> pd.DataFrame:
    return pd.DataFrame({"tile": [f"T{i:03}" for i in range(number)], "year": 2020})


PROCESS = {
    "load": {
        "process_id": "load_collection",
        "arguments": {"id": "SENTINEL2_L2A", "spatial_extent": None, "temporal_extent": None},
        "result": True,
    }
}


def start_job(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob:
    return connection.create_job(PROCESS, title=f"tile {row.tile}")


def query(database: Path, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql, arguments).fetchall()
