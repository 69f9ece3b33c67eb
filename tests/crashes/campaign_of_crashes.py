"""What a process does that is killed: one run of a small campaign."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import crash_points
import openeo
import pandas as pd
from alembic import command  # noqa: F401 (imported late where it is needed)
from hooked import HookedManager, start_some_badly
from zygote import Order

from campaigning import connect_to_url, make_rows, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.frames import output  # noqa: F401

QUICK: dict[str, Any] = {"poll_sleep": 0.01, "grace": 0.2, "lost_after": 20, "lease": 600}


def carry_out(order: Order, points: list[str]) -> None:
    """Run the campaign to its end, and note in *points* which crash points were passed."""
    logging.getLogger("openeo_jobs").addHandler(logging.FileHandler(Path(order.folder) / "log.txt"))
    logging.getLogger("openeo_jobs").setLevel(logging.INFO)
    crash_points.install(points.append if order.dies_at is None else crash_points.die_at(order.dies_at))
    for change in order.changes:
        getattr(crash_points, change)()
    folder = Path(order.folder)
    cls = HookedManager if order.is_hooked else MultiBackendJobManager
    manager = cls(root_dir=folder / "results", **{**QUICK, **order.settings})
    manager.add_backend("north", connect_to_url(order.url), parallel_jobs=8)
    callback = start_itself if order.starts_itself else start_some_badly if order.is_hooked else start_job
    manager.run_jobs(make_rows(order.rows), callback, folder / "jobs.csv")


def start_itself(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob:
    return start_job(row, connection).start()
