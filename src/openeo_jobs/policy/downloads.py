"""Which files are to be fetched, how a file is gone on with, and when what failed is tried again."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from openeo_jobs.assets import Asset, AssetState, Offer
from openeo_jobs.jobs import ResultsStatus

DOWNLOAD_TRIES = 5
"""How often a download that brings nothing is tried in one run."""
MAX_FAILURES = 3
"""So many files of a job that could not be had, and no more of them are asked for before its results are."""
QUEUED_PER_SLOT = 4
"""For how many files per one that is on its way the results are asked for beforehand: links may expire."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Wants = Callable[[Offer], bool]


def next_download(
    tries: int, *, at: datetime, poll_sleep: timedelta, retry_after: timedelta | None = None
) -> datetime | None:
    """Return when a download that brought nothing *tries* times is tried again; None: not in this run.

    *retry_after* is how long the server of the file asked to wait.
    """
    if tries >= DOWNLOAD_TRIES:
        return None
    wait: timedelta = max(poll_sleep, timedelta(milliseconds=50)) * 2 ** max(tries - 1, 0)
    return at + max(wait, retry_after or timedelta(0))


def matches(pattern: str) -> Wants:
    """Return a filter that wants the files whose name, or name on the backend, matches *pattern*."""
    return lambda offer: fnmatchcase(offer.filename, pattern) or fnmatchcase(offer.name, pattern)


def plan_files(
    offers: Sequence[Offer],
    *,
    folder: Path,
    wants: Wants,
    known: Sequence[Asset],
    is_here: Callable[[Asset], bool],
) -> list[Asset]:
    """Return the files of a job as they are to be stored: what is here as announced stays as it is.

    *known* are those that are stored, *is_here* says whether one of them is on disk.
    """
    by_name = {asset.name: asset for asset in known}
    return [_plan(offer, folder / offer.filename, wants, by_name, is_here) for offer in offers]


def version_to_continue(asset: Asset, *, boot_id: str) -> str | None:
    """Return the version of a part that may be gone on with; None: it is to be begun anew.

    What was written before the machine was switched off may never have reached the disk: only a checksum
    tells.
    """
    if asset.part is None:
        return None
    is_sound = asset.part.boot_id == boot_id or asset.announced_checksum is not None
    return asset.part.version if is_sound else None


def keeps_what_is_there(asset: Asset) -> bool:
    """Say whether a file that is there may be taken for *asset* by its size and checksum.

    One that has arrived before, and is pending again, may be that of an earlier run of its batch job, which
    is often as long: then only a checksum tells.
    """
    return asset.downloaded_at is None or asset.announced_checksum is not None


def results_of(settled: Sequence[Asset]) -> ResultsStatus:
    """Return what a row is whose files are all on disk, or not wanted there."""
    is_any_wanted = any(asset.is_wanted for asset in settled)
    return ResultsStatus.DOWNLOADED if is_any_wanted else ResultsStatus.NOT_WANTED


def is_disk_full(error: Exception | None) -> bool:
    """Say whether something failed because the disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in DISK_FULL


def _plan(
    offer: Offer,
    path: Path,
    wants: Wants,
    known: Mapping[str, Asset],
    is_here: Callable[[Asset], bool],
) -> Asset:
    asset = Asset(
        name=offer.name,
        path=path,
        state=AssetState.PENDING if _is_wanted(offer, wants) else AssetState.NOT_WANTED,
        media_type=offer.media_type,
        announced_size=offer.size,
        announced_checksum=offer.checksum,
    )
    old = known.get(offer.name)
    if old is None:
        return asset
    asset = replace(asset, id=old.id)
    if not _is_same(old, offer, path):
        return asset
    asset = replace(
        asset, announced_size=old.announced_size, part=old.part, downloaded_at=old.downloaded_at,
        size=old.size, checksum=old.checksum,
    )  # fmt: skip
    if not asset.is_wanted or (old.state is AssetState.DOWNLOADED and not is_here(old)):
        return asset
    return replace(asset, state=old.state if old.is_wanted else asset.state)


def _is_wanted(offer: Offer, wants: Wants) -> bool:
    return offer.exported_to is None and wants(offer)


def _is_same(old: Asset, offer: Offer, path: Path) -> bool:
    """Say whether an offer is of the same file as the one that is known; a size may be the server's own."""
    return (
        old.path == path
        and old.announced_checksum == offer.checksum
        and (offer.size is None or old.announced_size in (None, offer.size))
    )
