"""A campaign in a process of its own: python interruptible.py FOLDER NORTH_URL SOUTH_URL [OPTIONS].

`--slow`: each `start_job` takes 3 s. `--as=USER`: logged in as that. `--wait`: it waits for a line of input.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import openeo

from campaigning import connect_to_url, make_rows, start_job
from openeo_jobs import MultiBackendJobManager

ROWS = 60


def main(folder: Path, north_url: str, south_url: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("openeo").setLevel(logging.WARNING)
    manager = MultiBackendJobManager(poll_sleep=0.1, root_dir=folder / "results", grace=0.5, lease=5)
    user = next((word.removeprefix("--as=") for word in sys.argv if word.startswith("--as=")), "user")
    manager.add_backend("north", connect_to_url(north_url, user), parallel_jobs=4)
    manager.add_backend("south", connect_to_url(south_url, user), parallel_jobs=3)
    if "--wait" in sys.argv:
        print("ready", flush=True)
        input()
    manager.run_jobs(
        make_rows(ROWS), slow_start_job if "--slow" in sys.argv else start_job, folder / "jobs.csv"
    )
    print("all done")


def slow_start_job(row, connection: openeo.Connection, **kwargs) -> openeo.BatchJob:
    print("in start_job", flush=True)
    time.sleep(3)
    return start_job(row, connection, **kwargs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
