"""Begin a campaign, go on with it, add rows to it: whether the files and the dataframe of a call fit."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from openeo_jobs.campaign import importing
from openeo_jobs.campaign.importing import Found
from openeo_jobs.campaign.locations import Location
from openeo_jobs.campaign.mirrors import FileMirror, Mirror, make_mirror
from openeo_jobs.campaign.objects import save_changes
from openeo_jobs.campaign.reading import read_together
from openeo_jobs.campaign.tokens import make_uid
from openeo_jobs.errors import CampaignExistsError, CampaignMovedError, FrameError, UsageError
from openeo_jobs.frames import Comparison, compare, encode_table
from openeo_jobs.jobs import Campaign
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tables import Merge, Table

log = logging.getLogger("openeo_jobs")

ON_EXISTS = ("error", "skip", "append", "update")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The rows that a call brings, and what becomes of them where the campaign exists already."""

    df: pd.DataFrame | None = None
    on_exists: str = "error"
    key: Sequence[str] | None = None

    def check(self) -> None:
        """Raise unless the arguments make sense; the dataframe itself is looked at later."""
        if self.on_exists not in ON_EXISTS:
            raise UsageError(f"on_exists is one of {_listed(ON_EXISTS)}, not {self.on_exists!r}")
        if self.df is not None and not isinstance(self.df, pd.DataFrame):
            raise FrameError(f"df is {type(self.df).__name__}; give a pandas.DataFrame with one row per job")
        if self.df is not None and self.df.empty:
            raise FrameError("df has no rows, so there is nothing to run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a campaign begins with, if its database holds none yet."""

    table: Table | None
    found: Found | None


def prepare(location: Location, given: Given) -> Beginning:
    """Read what is to become a campaign, or raise before anything is changed."""
    given.check()
    if location.mirror is not None and location.job_db is not None:
        save_changes(location.job_db)
    found = importing.find(location, given.df)
    if found is not None:
        return Beginning(table=found.table, found=found)
    if given.df is None and not location.is_begun:
        raise UsageError(f"{location.database} does not exist yet; give df=, with one row per job")
    if given.df is None or importing.has_begun(location.database):
        return Beginning(
            table=None, found=None
        )  # rows of a campaign that exists are compared once it is open
    return Beginning(table=encode_table(given.df), found=None)


def begin_or_go_on(
    store: JobStore,
    location: Location,
    given: Given,
    beginning: Beginning,
    *,
    at: datetime,
) -> tuple[Campaign, Mirror | None]:
    """Return the campaign of *store*, with the rows that were given, and its mirror.

    A mirror that was edited is taken over.
    """
    mirror = make_mirror(store, location)
    campaign, is_new = store.campaigns.load(), False
    if campaign is None:
        campaign = _begin(store, beginning, mirror, at=at)
        is_new = beginning.found is None
    else:
        log.info("going on with %s", store.path)
    if mirror is not None:
        mirror.take_over_edits(at=at)
    if not is_new:
        campaign = add_rows(store, campaign, given, at=at)
    return campaign, mirror


def add_rows(store: JobStore, campaign: Campaign, given: Given, *, at: datetime) -> Campaign:
    """Add the rows of a dataframe to a campaign, as `on_exists` says; the same rows again change nothing."""
    if given.df is None or given.on_exists == "skip":
        return campaign
    while True:
        campaign, jobs = read_together(store, store.jobs.all)
        comparison = compare(given.df, campaign, jobs, key=given.key)
        if comparison.is_same or (given.on_exists != "error" and not comparison.has_more):
            return campaign
        if given.on_exists == "error":
            raise CampaignExistsError(
                f"df does not hold the rows that {store.path} holds: {comparison.describe()}. Leave df out "
                'to go on with those; on_exists="append" adds what is new, "update" also takes over cells '
                'that differ, "skip" leaves the campaign as it is'
            )
        merge = comparison.merge(changes_rows=given.on_exists == "update")
        with suppress(CampaignMovedError):
            kept = store.campaigns.merge(merge, at=at)
            break
    _tell_added(store, given, comparison, merge, kept)
    return store.campaigns.load() or campaign


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


_WHY_KEPT = {
    "append": 'on_exists="update" would change those that are not under way or finished',
    "update": "they are under way or finished; put them back in line first, with: openeo-jobs retry --row N",
}


def _tell_added(
    store: JobStore, given: Given, comparison: Comparison, merge: Merge, kept: Sequence[int]
) -> None:
    changed = len(merge.changed) - len(kept)
    log.info("%s: %d rows added, %d changed", store.path, len(merge.new), changed)
    left = sorted(kept) if given.on_exists == "update" else comparison.find_changed()
    if left:
        why = _WHY_KEPT[given.on_exists]
        log.warning("%d rows keep their cells, such as row %d: %s", len(left), left[0], why)


def _begin(store: JobStore, beginning: Beginning, mirror: Mirror | None, *, at: datetime) -> Campaign:
    if beginning.table is None:
        raise UsageError(f"{store.path} holds no rows yet; give df=, a dataframe with one row per job")
    if beginning.found is None:
        return store.campaigns.begin(beginning.table, uid=make_uid(), at=at)
    copy = beginning.found.keep_copy()
    known = mirror.describe() if isinstance(mirror, FileMirror) else None
    campaign = store.campaigns.begin(
        beginning.table, uid=make_uid(), at=at, taken_over_from=beginning.found.what, mirrors=known
    )
    beginning.found.tell(copy)
    return campaign


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(repr(name) for name in names))
