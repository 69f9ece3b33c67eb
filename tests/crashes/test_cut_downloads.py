"""Processes that are killed at any byte of the files that they fetch: little is fetched twice."""

from __future__ import annotations

import hashlib
import math
import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from judging import find_damage
from zygote import Life, Order, Process

from campaigning import QUICK, query
from openeo_jobs.simulator import Deviations, Files, Simulator
from openeo_jobs.simulator.assets import make_files
from openeo_jobs.status import JobStatus

KILLS = 4
"""Of the processes of a campaign."""
ROWS = 2
MORE = (3, 5_000_000)
BYTES_PER_SECOND = 2e6
"""Of each file; four of a backend are on their way at a time."""
ANNOUNCED = {
    "everything": Files(more=MORE, bytes_per_second=BYTES_PER_SECOND),
    "nothing": Files(more=MORE, bytes_per_second=BYTES_PER_SECOND, has_sizes=False, has_checksums=False),
}


def run_and_kill(folder: Path, address: str, files: Files, *, kills: int, seed: int) -> None:
    """Kill so many processes of a campaign, one after the other, and let the next one come to the end."""
    folder.mkdir()
    chance = random.Random(seed)
    with Simulator(
        folder=folder / "north", seed=seed, name="north", deviations=Deviations(files=files), **QUICK
    ) as north:
        order = Order(folder=str(folder), url=north.url, rows=ROWS)
        for goal in sorted(chance.uniform(0, 0.95 * ROWS * MORE[0] * MORE[1]) for _ in range(kills)):
            assert live(address, order, goal).was_killed
            assert find_damage(folder) == []
            assert find_wrong_files(folder, north) == []
        assert live(address, order, math.inf) == Life(was_killed=False)
        right = right_files(folder, north)
        assert [path for path in right if not path.exists()] == []
        assert find_wrong_files(folder, north) == []
        assert query(folder / "jobs.sqlite", "SELECT DISTINCT status, results_status FROM jobs") == [
            ("finished", "downloaded")
        ]
        assert query(folder / "jobs.sqlite", "SELECT checksum FROM assets ORDER BY job, name") == [
            (right[path],) for path in sorted(right)
        ]
        sizes = sum(path.stat().st_size for path in right)
        share = bytes_sent(north) / sizes
        print(f"{kills} kills, {share:.3f} of {sizes} bytes sent")
        assert share <= 1.2
    shutil.rmtree(folder)


def live(address: str, order: Order, goal: float) -> Life:
    """Let a process run until so many bytes of results are here, then kill it."""
    process, is_over = Process(address, order), threading.Event()

    def kill_at_goal() -> None:
        while not is_over.wait(0.002):
            if count_bytes(Path(order.folder) / "results") >= goal:
                process.kill()
                return

    watcher = threading.Thread(target=kill_at_goal)
    watcher.start()
    life = process.wait(100)
    is_over.set()
    watcher.join()
    assert life.error is None, life.error
    return Life(was_killed=life.was_killed)


def count_bytes(folder: Path) -> int:
    count = 0
    for path in folder.glob("*/more-*"):
        with suppress(OSError):
            count += path.stat().st_size
    return count


def right_files(folder: Path, north: Simulator) -> dict[Path, str]:
    """Return the SHA-256 of every file that the campaign will have in the end, as the simulator makes it."""
    service = north._session.service
    return {
        folder / "results" / f"job_{job.id}" / file.name: file.content.sha256
        for job in service.registry.list_all()
        for file in make_files(job, JobStatus.FINISHED, more=MORE)
    }


def find_wrong_files(folder: Path, north: Simulator) -> list[Path]:
    return [
        path
        for path, sha256 in right_files(folder, north).items()
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != sha256
    ]


def bytes_sent(north: Simulator) -> int:
    deadline = time.monotonic() + 10
    while None in (sent := [request.sent for request in north.requests(path="^/assets/")]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return sum(sent)


def kill_all(folder: Path, address: str, *, campaigns: int, seed: int) -> None:
    """Run campaigns of both kinds side by side, of which so many processes are killed each."""

    def run_one_kind(kind: str) -> None:
        for number in range(campaigns):
            its_folder = folder / f"{kind}-{number}"
            run_and_kill(its_folder, address, ANNOUNCED[kind], kills=KILLS, seed=seed + number)

    with ThreadPoolExecutor(len(ANNOUNCED)) as threads:
        list(threads.map(run_one_kind, ANNOUNCED))


@pytest.mark.thorough
def test_files_are_gone_on_with_over_8_kills_at_any_byte(folder: Path, address: str) -> None:
    kill_all(folder, address, campaigns=1, seed=1)


@pytest.mark.long
def test_files_are_gone_on_with_over_100_kills_at_any_byte(folder: Path, address: str) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    kill_all(folder, address, campaigns=13, seed=seed)
