"""However big a file is, it passes through little memory."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from campaigning import query
from openeo_jobs.simulator import Deviations, Files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def fetch_and_measure(folder: Path, make_simulator: Any, *, size: int) -> float:
    """Fetch one file of so many bytes; return how many megabytes that took beyond those of the imports."""
    files = Files(more=(1, size))
    north = make_simulator(folder / "north", name="north", deviations=Deviations(files=files))
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("measured.py"), folder, north.url],
        env={**os.environ, "PYTHONPATH": str(tests)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    ((path, checksum),) = query(
        folder / "jobs.sqlite", "SELECT path, checksum FROM assets WHERE size = ?", size
    )
    with (folder / path).open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == checksum
    return float(done.stdout)


def test_64_mb_are_fetched_in_40_mb_of_memory(tmp_path: Path, make_simulator: Any) -> None:
    megabytes = fetch_and_measure(tmp_path, make_simulator, size=64_000_000)
    print(f"{megabytes:.1f} MB")
    assert megabytes < 40


@pytest.mark.long
def test_2_gb_are_fetched_in_150_mb_of_memory(tmp_path: Path, make_simulator: Any) -> None:
    megabytes = fetch_and_measure(tmp_path, make_simulator, size=2_000_000_000)
    print(f"{megabytes:.1f} MB")
    assert megabytes < 150
