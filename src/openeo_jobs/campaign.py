"""Begin a campaign or go on with it: whether the files and the dataframe of a call fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from openeo_jobs.arguments import Location
from openeo_jobs.errors import FrameError, UsageError
from openeo_jobs.frames import describe_difference
from openeo_jobs.jobs import Campaign, Table
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")


def check_files(location: Location, table: Table | None) -> None:
    """Raise, before anything is changed, unless there is something to begin with or to go on with."""
    if table is None and not location.database.exists():
        raise UsageError(f"{location.database} does not exist yet; give df=, with one row per job")


def begin_or_go_on(
    store: JobStore,
    table: Table | None,
    *,
    make_uid: Callable[[], str],
    at: datetime,
    mirrors: Mapping[str, tuple[str, ...]] | None = None,
) -> Campaign:
    """Return the campaign of *store*; a new one gets the rows of *table*, an old one has to hold the same.

    *mirrors* are the files that a new campaign is taken over from, with the hashes of their contents.
    """
    campaign = store.campaigns.load()
    if campaign is None:
        if table is None:
            raise UsageError(f"{store.path} holds no rows yet; give df=, a dataframe with one row per job")
        return store.campaigns.begin(table, uid=make_uid(), at=at, mirrors=mirrors)
    if table is not None:
        difference = describe_difference(table, campaign, store.jobs.all())
        if difference is not None:
            raise FrameError(
                f"df does not hold the rows that {store.path} holds: {difference}. "
                "Leave df out to go on with those, or name another output_file for a new campaign"
            )
    log.info("going on with %s", store.path)
    return campaign


def check_pins(table: Table | None, backend_names: Collection[str]) -> None:
    """Raise if every row of a new campaign is pinned to a backend that is not registered."""
    pins = {job.pinned_backend for job in table.jobs} if table is not None else {None}
    if not pins & {None, *backend_names}:
        raise UsageError(
            f"no row can run: column backend_name says {_listed(pins)}, and registered are "
            f"{_listed(backend_names)}; add_backend(name, connection=...), or change the column"
        )


def check_anything_can_run(store: JobStore, backend_names: Collection[str], *, runner_id: int) -> None:
    """Raise if every row that is left waits for a backend that is not registered."""
    left = store.jobs.left_behind(backend_names)
    if left.elsewhere and not store.jobs.work_left(backend_names, runner_id=runner_id):
        raise UsageError(
            f"no row of {store.path} can run: {left.describe_elsewhere()}; registered are "
            f"{_listed(backend_names)}; add_backend(name, connection=...)"
        )


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(sorted(repr(name) for name in names))
