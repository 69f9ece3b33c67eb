"""Read a campaign and its rows so that both fit, whoever adds columns meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from openeo_jobs.errors import UsageError
from openeo_jobs.frames import fits
from openeo_jobs.jobs import Campaign, Job
from openeo_jobs.storage.store import JobStore


def read_together(store: JobStore, read: Callable[[], Sequence[Job]]) -> tuple[Campaign, Sequence[Job]]:
    """Return the campaign, and what *read* reads of its rows."""
    while True:
        jobs, campaign = read(), store.campaigns.load()
        if campaign is None:
            raise UsageError(f"{store.path} holds no rows yet; give df=, a dataframe with one row per job")
        if fits(campaign, jobs):
            return campaign, jobs


def read_snapshot(store: JobStore) -> tuple[int, Campaign, Sequence[Job]]:
    """Return the campaign, its rows, and the number of the latest change of status that they show."""
    marks = []

    def read() -> Sequence[Job]:
        mark, jobs = store.jobs.snapshot()
        marks.append(mark)
        return jobs

    campaign, jobs = read_together(store, read)
    return marks[-1], campaign, jobs
