"""Files of batch jobs on disk: results, metadata, error logs; nothing here knows of the database."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from openeo_jobs.assets import RESULTS_FILENAME, Asset, AssetState, Fetched, Offer, Results
from openeo_jobs.backends.documents import make_local
from openeo_jobs.backends.fetching import Terms
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendAnswerError, BackendError
from openeo_jobs.policy.downloads import Wants, keeps_what_is_there, plan_files

_AT_A_TIME = 4


def fetch_files(
    gateway: Gateway,
    results: Results,
    folder: Path,
    *,
    wants: Wants = lambda offer: True,
    known: Sequence[Asset] = (),
    check: Callable[[Sequence[Asset]], None] = lambda planned: None,
) -> list[Asset]:
    """Fetch the files of one batch job, write the document that describes them, and return what is here.

    *known* are the files that are known to be here. *check* gets those that there will be, and raises where
    they may not be.
    """
    planned = plan_files(results.offers, folder=folder, wants=wants, known=known, is_here=is_here)
    check(planned)
    offers = {offer.name: offer for offer in results.offers}
    missing = [asset for asset in planned if not asset.is_settled]
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="openeo-jobs files") as pool:
        fetched = pool.map(lambda one: _fetch_anew(gateway, offers, one), missing)
        arrived = dict(zip(missing, fetched, strict=True))
    here = [_arrived(asset, arrived.get(asset)) for asset in planned]
    write_document(folder, results, here)
    return here


def ask_results(gateway: Gateway, batch_job_id: str, metadata_path: Path) -> Results:
    """Ask for the metadata of a batch job, which are written, and for its results."""
    seen = gateway.get_batch_job(batch_job_id)
    write_json(metadata_path, dict(seen.metadata))
    return gateway.get_results(batch_job_id)


def fetch(gateway: Gateway, offer: Offer, asset: Asset, terms: Terms) -> Fetched:
    """Fetch one file.

    Files may lie on other hosts: what goes wrong there says nothing of the backend.
    """
    try:
        return gateway.fetch(offer, asset.path, terms)
    except BackendError as error:
        raise BackendAnswerError(
            str(error), http_status=error.http_status, code=error.code, retry_after=error.retry_after
        ) from error


def is_here(asset: Asset) -> bool:
    """Say whether a file is where it was left, and as long; one that has never arrived is not."""
    if asset.state is not AssetState.DOWNLOADED:
        return False
    try:
        return asset.path.stat().st_size == asset.size
    except OSError:
        return False


def write_document(folder: Path, results: Results, assets: Sequence[Asset]) -> None:
    """Write the results document beside the files, once they are all there, and on the disk for good."""
    here = {asset.name: asset.path.name for asset in assets if asset.state is AssetState.DOWNLOADED}
    write_json(folder / RESULTS_FILENAME, make_local(results.document, here))


def write_error_logs(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write error logs as upstream does: only where there are any."""
    if entries:
        write_json(path, list(entries))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("w", encoding="utf-8", errors="replace") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def _fetch_anew(gateway: Gateway, offers: Mapping[str, Offer], asset: Asset) -> Fetched:
    return fetch(gateway, offers[asset.name], asset, Terms(keeps=keeps_what_is_there(asset)))


def _arrived(asset: Asset, fetched: Fetched | None) -> Asset:
    if fetched is None:
        return asset
    return replace(asset, state=AssetState.DOWNLOADED, size=fetched.size, checksum=fetched.checksum)


def _sync(folder: Path) -> None:
    """Wait until the names in *folder* are on the disk, where the system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
