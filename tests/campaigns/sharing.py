"""One of several processes on a campaign: python sharing.py FOLDER ROWS LEASE CAP URL [WORDS]."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from campaigning import connect_to_url, make_rows, start_job
from openeo_jobs import MultiBackendJobManager


def main(folder: Path, rows: int, lease: float, cap: int, url: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("openeo").setLevel(logging.WARNING)
    manager = MultiBackendJobManager(poll_sleep=0.1, root_dir=folder / "results", grace=0.5, lease=lease)
    manager.add_backend("north", connect_to_url(url), parallel_jobs=cap)
    manager.run_jobs(make_rows(rows), start_job, folder / "jobs.csv")
    print("all done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
