"""Campaigns on a backend that fails in many ways, in processes that are killed at random moments."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from judging import find_damage, find_violations
from zygote import Order, Process

from openeo_jobs.simulator import Deviations, Fault, Lags, Simulator

FAULTS = (
    Fault(endpoint="POST /jobs", kind="drop", share=0.05, after_effect=True),
    Fault(endpoint="POST /jobs/{job_id}/results", kind="drop", share=0.05, after_effect=True),
    Fault(endpoint="*", kind="drop", share=0.02),
    Fault(endpoint="GET /jobs/{job_id}", kind="answer", share=0.02, status=429, code="TooManyRequests"),
)
"""A 429 for a create or start request would be a limit of the account: one at a time for half an hour."""
LISTING_LAG_SECONDS = 0.1
SETTINGS = {"grace": 0.4, "lost_after": 5.0}
LAST_LIFE_SECONDS = 400
"""How long the process may take that goes on to the end: nearly all rows may be left for it."""
CAMPAIGNS = 3
"""At a time, each with processes of its own."""


def soak(folder: Path, address: str, *, kills: int, rows: int, seed: int) -> list[str]:
    """Kill one process after the other at random moments, then let one go on to the end.

    Return what was wrong, right after each death and at the end.
    """
    folder.mkdir()
    chance = random.Random(seed)
    with Simulator(
        folder=folder / "north",
        seed=seed,
        name="north",
        queue_seconds=(0.0, 0.05),
        run_seconds=(0.05, 0.3),
        faults=FAULTS,
        deviations=Deviations(lags=Lags(listing_seconds=LISTING_LAG_SECONDS), token_seconds=2.0),
    ) as north:
        order = Order(
            folder=str(folder), url=north.url, rows=rows, changes=["spill_early"], settings=SETTINGS
        )
        found: list[str] = []
        killed = 0
        while killed < kills:
            process = Process(address, order)
            timer = threading.Timer(chance.uniform(0.1, 0.4), process.kill)
            timer.start()
            life = process.wait()
            timer.cancel()
            assert life.error is None, life.error
            killed += life.was_killed
            found += [f"after kill {killed}: {damage}" for damage in find_damage(folder)]
        life = Process(address, order).wait(LAST_LIFE_SECONDS)
        assert life.error is None, life.error
        return found + find_violations(folder, north, rows=rows)


def soak_all(folder: Path, address: str, *, kills: int, rows: int, seed: int) -> list[list[str]]:
    def one(number: int) -> list[str]:
        return soak(folder / str(number), address, kills=kills // CAMPAIGNS, rows=rows, seed=seed + number)

    with ThreadPoolExecutor(CAMPAIGNS) as threads:
        return list(threads.map(one, range(CAMPAIGNS)))


def test_campaigns_survive_60_kills_on_a_backend_that_fails(folder: Path, address: str) -> None:
    assert soak_all(folder, address, kills=60, rows=20, seed=1) == [[]] * CAMPAIGNS


@pytest.mark.long
def test_campaigns_survive_1000_kills_on_a_backend_that_fails(folder: Path, address: str) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    assert soak_all(folder, address, kills=1000, rows=500, seed=seed) == [[]] * CAMPAIGNS
