"""Fetch results, and do nothing else: what is missing of a campaign that may be over."""

from __future__ import annotations

from collections.abc import Callable

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.downloads import is_download_due
from openeo_jobs.policy.endings import is_unfetched
from openeo_jobs.tracking import backends, downloader, loop
from openeo_jobs.tracking.run import Run, log

_WAIT_SECONDS = 2.0


def fetch_all(run: Run, *, tell: Callable[[int], None]) -> None:
    """Fetch the results of this run's rows, until none is left that can be had now, or it is told to stop.

    Backends that pause, as they cannot be logged in to, or are away, are not waited for. *tell* is called
    with how many rows are left.
    """
    while not run.stopping.is_set():
        loop.connect_all(run)
        polled = backends.find_polled(run)
        unfetched = [job for job in run.store.endings.open(run.runner_id) if is_unfetched(job)]
        tell(len(unfetched))
        jobs = [job for job in unfetched if job.backend_name in polled]
        if not jobs:
            return
        for job in jobs:
            _ask(run, job)
        loop.record(run, run.pool.collect(_WAIT_SECONDS))


def _ask(run: Run, job: Job) -> None:
    try:
        if is_download_due(job, at=run.now()):
            downloader.ask_results(run, job)
    except JobMovedError as error:
        log.info("%s", error)
