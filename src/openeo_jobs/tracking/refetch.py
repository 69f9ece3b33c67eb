"""Fetch results, and do nothing else: what is missing of a campaign that may be over."""

from __future__ import annotations

from collections.abc import Callable

from openeo_jobs.tracking import backends, endings, loop
from openeo_jobs.tracking.run import Run

_WAIT_SECONDS = 2.0


def fetch_all(run: Run, *, tell: Callable[[int], None]) -> None:
    """Fetch the results of this run's rows, until none is left that can be had now, or it is told to stop.

    Backends that pause, as they cannot be logged in to, or are away, are not waited for. *tell* is called
    with how many rows are left.
    """
    while not run.stopping.is_set():
        loop.connect_all(run)
        left = run.store.endings.count_unfetched(run.runner_id)
        tell(sum(left.values()))
        polled = [name for name in backends.find_polled(run) if name in left]
        if not polled:
            return
        endings.fetch_results(run, polled)
        loop.record(run, run.pool.collect(_WAIT_SECONDS))
