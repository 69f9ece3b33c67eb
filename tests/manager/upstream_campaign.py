"""openEO's own manager in a process of its own, killed at an event: FOLDER URL ROWS EVENT.

An event is a request or a write of the CSV, before it or after it.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import requests
from openeo.extra import job_management as upstream

from campaigning import connect_to_url, make_rows, start_job


def main(folder: Path, url: str, rows: int, last: int) -> None:
    events = itertools.count(1)

    def die_at_the_last_one() -> None:
        if next(events) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    manager = upstream.MultiBackendJobManager(poll_sleep=0.02, root_dir=folder / "results")
    manager.add_backend("north", connect_to_url(url)(), parallel_jobs=4)
    module = getattr(upstream, "_manager", upstream)  # one file in older versions
    module.time.sleep = lambda seconds, sleep=module.time.sleep: sleep(min(seconds, 0.02))
    requests.Session.send = around(requests.Session.send, die_at_the_last_one)
    pd.DataFrame.to_csv = around(pd.DataFrame.to_csv, die_at_the_last_one)
    manager.run_jobs(df=make_rows(rows), start_job=start_job, job_db=folder / "jobs.csv")


def around(function: Callable[..., Any], event: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        event()
        returned = function(*args, **kwargs)
        event()
        return returned

    return call


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
