"""Campaigns on a backend that fails in many ways, in processes that are killed at random moments."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from fates import awaiting, kill
from judging import find_damage, find_violations
from zygote import Life, Order, Process

from openeo_jobs.jobs import ErrorClass, Job
from openeo_jobs.simulator import Deviations, Fault, Lags, Simulator
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import open_store

TOO_MANY = {"kind": "answer", "status": 429, "code": "TooManyRequests"}
FAULTS = (
    Fault(endpoint="POST /jobs", kind="drop", share=0.05, after_effect=True),
    Fault(endpoint="POST /jobs/{job_id}/results", kind="drop", share=0.05, after_effect=True),
    Fault(endpoint="*", kind="drop", share=0.02),
    Fault(endpoint="GET /jobs/{job_id}", share=0.02, **TOO_MANY),
    Fault(endpoint="POST /jobs", share=0.02, **TOO_MANY),
    Fault(endpoint="POST /jobs/{job_id}/results", share=0.02, **TOO_MANY),
)
FIRST_REQUESTS = 24
"""A process is killed at a random moment after one of these, and after any of these its token may expire."""
LISTING_LAG_SECONDS = 0.1
SETTINGS = {"poll_sleep": 0.02, "grace": 0.4, "lost_after": 5.0}
LAST_LIFE_SECONDS = 400
"""How long the process may take that goes on to the end: nearly all rows may be left for it."""
CAMPAIGNS = 2
"""At a time, each with processes of its own."""


def soak(folder: Path, address: str, *, kills: int, rows: int, seed: int, met: Counter[str]) -> list[str]:
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
        run_seconds=(0.02, 0.1),
        faults=FAULTS,
        deviations=Deviations(lags=Lags(listing_seconds=LISTING_LAG_SECONDS), token_seconds=2.0),
    ) as north:
        order = Order(
            folder=str(folder), url=north.url, rows=rows, changes=["spill_early"], settings=SETTINGS
        )
        found: list[str] = []
        killed = 0
        while killed < kills:
            life = live(address, order, north, chance)
            assert life.error is None, life.error
            killed += life.was_killed
            found += [f"after kill {killed}: {damage}" for damage in find_damage(folder)]
        met.update(f"{one.method} {one.status}" for one in north.requests())
        go_on_to_the_end(address, order)
        if poisoned := retry_poisoned(folder):
            met["rows tried again"] += poisoned
            go_on_to_the_end(address, order)
        return found + find_violations(folder, north, rows=rows)


def go_on_to_the_end(address: str, order: Order) -> None:
    life = Process(address, order).wait(LAST_LIFE_SECONDS)
    assert life.error is None, life.error


def retry_poisoned(folder: Path) -> int:
    """Try rows again in whose `start_job` three processes in a row happened to be killed; return how many.

    That they fail is promised; a user tries them again.
    """
    with open_store(folder / "jobs.sqlite") as store:
        failed = store.jobs.of_status([JobStatus.START_FAILED])
        poisoned = [job for job in failed if is_poisoned(job)]
        return store.retries.retry(poisoned, reason="tried again", at=datetime.now(UTC)) if poisoned else 0


def is_poisoned(job: Job) -> bool:
    failure = job.attempt.failure if job.attempt else None
    return failure is not None and failure.error_class is ErrorClass.INTERRUPTED


def live(address: str, order: Order, north: Simulator, chance: random.Random) -> Life:
    """Let a process live that is killed after a random request, if it is still there; its token expires."""
    process = Process(address, order)
    end, expiry = (chance.randrange(FIRST_REQUESTS) for _ in range(2))
    with awaiting(north, [(end, partial(kill, process)), (expiry, north.expire_tokens)]):
        return process.wait()


def soak_all(folder: Path, address: str, *, kills: int, rows: int, seed: int) -> None:
    """Let the campaigns go wrong at the same time; nothing may be wrong with them at the end.

    Those that were killed met what they were to meet.
    """
    met = [Counter[str]() for _ in range(CAMPAIGNS)]

    def one(number: int) -> list[str]:
        where, share = folder / str(number), kills // CAMPAIGNS
        return soak(where, address, kills=share, rows=rows, seed=seed + number, met=met[number])

    print(f"seed {seed}")
    with ThreadPoolExecutor(CAMPAIGNS) as threads:
        assert list(threads.map(one, range(CAMPAIGNS))) == [[]] * CAMPAIGNS
    total = sum(met, Counter())
    print(f"those that were killed met {dict(total)}")
    assert total["POST 201"] > kills / 4
    assert min(total["POST 429"], total["GET 403"] + total["POST 403"]) > 0


@pytest.mark.thorough
def test_campaigns_survive_60_kills_on_a_backend_that_fails(folder: Path, address: str) -> None:
    soak_all(folder, address, kills=60, rows=16, seed=1)


@pytest.mark.long
def test_campaigns_survive_1000_kills_on_a_backend_that_fails(folder: Path, address: str) -> None:
    soak_all(folder, address, kills=1000, rows=300, seed=random.randrange(10**6))
