"""What it takes to run a campaign in a test, and to look at what came out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import openeo
import pandas as pd

from openeo_jobs.simulator import Simulator

QUICK: dict[str, Any] = {"queue_seconds": (0.0, 0.02), "run_seconds": (0.02, 0.08)}


def connect_to(simulator: Simulator) -> Callable[[], openeo.Connection]:
    return connect_to_url(simulator.url)


def connect_to_url(url: str, user: str = "user") -> Callable[[], openeo.Connection]:
    return lambda: openeo.connect(url).authenticate_basic(user, "password")


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
