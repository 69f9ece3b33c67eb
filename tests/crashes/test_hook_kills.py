"""Processes are killed at random while their hooks run: each hook is called as promised."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hooked import count_inside, find_broken_promises, raises, read_ledger, read_states
from zygote import Life, Order, Process

from openeo_jobs.simulator import Simulator

ROWS = 10
KILLS_PER_CAMPAIGN = 6
"""After so many, the next process may go on to the end."""
PATIENCE_SECONDS = 20.0


def run_until_killed(address: str, order: Order, chance: random.Random) -> tuple[int, Life]:
    """Kill a process at a random moment, mostly while hooks are called; return its pid.

    It is killed soon after its hooks have noted so many lines, or, now and then, at any time.
    """
    process = Process(address, order)
    lines = chance.randrange(1, 10)
    seconds = PATIENCE_SECONDS if chance.random() < 0.8 else chance.uniform(0.1, 1.0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and is_alive(process.pid):
        if len(read_ledger(Path(order.folder), process.pid)) >= lines:
            break
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.01))
    with suppress(ProcessLookupError):  # it may have come to its end
        process.kill()
    return process.pid, process.wait()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def survive(address: str, order: Order, chance: random.Random) -> tuple[int, int, list[str]]:
    """Kill one process after the other, then let one go on.

    Return how many were killed, how many of them inside of a hook, and what was wrong.
    """
    folder, found, kills, inside, workers = Path(order.folder), [], 0, 0, order.settings["hook_workers"]
    folder.mkdir()
    life = Life(was_killed=True)
    while life.was_killed:
        before = read_states(folder)
        if kills < KILLS_PER_CAMPAIGN:
            pid, life = run_until_killed(address, order, chance)
        else:
            process = Process(address, order)
            pid, life = process.pid, process.wait()
        assert life.error is None, life.error
        kills += life.was_killed
        lines, after = read_ledger(folder, pid), read_states(folder)
        promises = find_broken_promises(lines, before, after, was_killed=life.was_killed, workers=workers)
        found += [f"process {kills}: {broken}" for broken in promises]
        inside += count_inside(lines) > 0
    states, returned = (
        read_states(folder),
        {tile for word, tile, _ in read_ledger(folder) if word == "returned"},
    )
    assert len(states) == ROWS
    for tile, state in states.items():
        delivered = state.has_failed if raises(tile) else state.has_returned and tile in returned
        found += [] if delivered else [f"{tile} ended as {state}"]
    return kills, inside, found


def survive_kills(
    address: str, backend: Simulator, folder: Path, *, kills: int, workers: int, seed: int
) -> None:
    print(f"seed {seed}")
    chance, killed, killed_inside, campaigns = random.Random(seed), 0, 0, 0
    while killed < kills:
        campaigns += 1
        order = Order(
            folder=str(folder / str(campaigns)),
            url=backend.url,
            rows=ROWS,
            is_hooked=True,
            settings={"hook_workers": workers},
        )
        deaths, deaths_inside, found = survive(address, order, chance)
        assert found == []
        killed, killed_inside = killed + deaths, killed_inside + deaths_inside
    print(f"{killed} kills, {killed_inside} of them inside of a hook, in {campaigns} campaigns")
    assert killed_inside > kills // 10


@pytest.mark.thorough
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 4])
def test_hooks_are_called_as_promised_over_10_kills(
    address: str, backend: Simulator, folder: Path, workers: int
) -> None:
    seed = random.randrange(10**6)
    survive_kills(address, backend, folder, kills=10, workers=workers, seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 4])
def test_hooks_are_called_as_promised_over_200_kills(
    address: str, backend: Simulator, folder: Path, workers: int
) -> None:
    seed = random.randrange(10**6)
    survive_kills(address, backend, folder, kills=200, workers=workers, seed=seed)
