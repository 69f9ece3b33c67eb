"""One of several processes on a campaign: python sharing.py FOLDER ROWS LEASE CAP URL [--stall].

With `--stall` it suspends itself in its third `start_job`, before the create request leaves, and again each
time that somebody resumes it, until there is a file `go-on` in the folder.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openeo
import pandas as pd

from campaigning import connect_to_url, make_rows, start_job
from openeo_jobs import MultiBackendJobManager

StartJob = Callable[..., openeo.BatchJob]


def stall_once(folder: Path) -> StartJob:
    calls = itertools.count(1)

    def stall(row: pd.Series, **kwargs: Any) -> openeo.BatchJob:
        while next(calls) >= 3 and not (folder / "go-on").exists():
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.05)  # a heartbeat that was stopped in the middle comes to its end
        return start_job(row, **kwargs)

    return stall


def main(folder: Path, rows: int, lease: float, cap: int, url: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("openeo").setLevel(logging.WARNING)
    manager = MultiBackendJobManager(poll_sleep=0.1, root_dir=folder / "results", grace=0.5, lease=lease)
    manager.add_backend("north", connect_to_url(url), parallel_jobs=cap)
    callback = stall_once(folder) if "--stall" in sys.argv else start_job
    manager.run_jobs(make_rows(rows), callback, folder / "jobs.csv")
    print("all done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
