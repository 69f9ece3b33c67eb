"""A campaign of one row, which says how much memory it took: python measured.py FOLDER URL."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from alembic import command  # noqa: F401 (imported late where it is needed)

from campaigning import connect_to_url, make_rows, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.frames import output  # noqa: F401
from openeo_jobs.storage import migrate  # noqa: F401


def read_megabytes(field: str) -> float:
    """Return what Linux says of this process: `VmRSS` is what it takes now, `VmHWM` the most it took."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(rf"{field}:\s+(\d+) kB", status)
    return int(kilobytes) / 1000


def main(folder: Path, url: str) -> None:
    imported = read_megabytes("VmRSS")
    manager = MultiBackendJobManager(poll_sleep=0.1, root_dir=folder / "results")
    manager.add_backend("north", connect_to_url(url))
    manager.run_jobs(make_rows(1), start_job, folder / "jobs.csv")
    print(read_megabytes("VmHWM") - imported)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
