"""What a process does that is killed: one run of a small campaign."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crash_points
import openeo
import pandas as pd
import stale_writes
from alembic import command  # noqa: F401 (imported late where it is needed)
from hooked import HookedManager, start_some_badly
from zygote import Order

from campaigning import connect_to_url, make_rows, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.frames import output  # noqa: F401

QUICK: dict[str, Any] = {"poll_sleep": 0.01, "grace": 0.2, "lost_after": 20, "lease": 600}


def carry_out(order: Order, points: list[str]) -> None:
    """Run the campaign to its end, and note in *points* which crash points were passed."""
    folder = Path(order.folder)
    _write_log(folder / "log.txt")
    if order.is_stalled:
        stale_writes.watch(points)
    else:
        pass_by = points.append if order.dies_at is None else crash_points.die_at(order.dies_at)
        crash_points.install(pass_by)
    for change in order.changes:
        getattr(crash_points, change)()
    cls = HookedManager if order.is_hooked else MultiBackendJobManager
    manager = cls(root_dir=folder / "results", **{**QUICK, **order.settings})
    manager.add_backend("north", connect_to_url(order.url), parallel_jobs=order.parallel_jobs)
    manager.run_jobs(make_rows(order.rows), _find_callback(order), folder / "jobs.csv")


def _write_log(path: Path) -> None:
    """Append each line of the log, after the number of its process."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(process)d %(message)s"))
    logging.getLogger("openeo_jobs").addHandler(handler)
    logging.getLogger("openeo_jobs").setLevel(logging.INFO)


def _find_callback(order: Order) -> Callable[..., openeo.BatchJob]:
    if order.is_stalled:
        return stale_writes.stall_once(Path(order.folder))
    if order.starts_itself:
        return start_itself
    return start_some_badly if order.is_hooked else start_job


def start_itself(row: pd.Series, connection: openeo.Connection, **kwargs: Any) -> openeo.BatchJob:
    return start_job(row, connection).start()
