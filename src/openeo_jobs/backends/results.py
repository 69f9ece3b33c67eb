"""Downloading the results of a batch job: whole files under their final names, or none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import requests

from openeo_jobs.backends.checks import Check, Digest
from openeo_jobs.backends.filenames import PART, assign_filenames
from openeo_jobs.backends.receiving import Ask, length_of, receive
from openeo_jobs.backends.roots import resolved
from openeo_jobs.backends.texts import without_query
from openeo_jobs.backends.transport import Transport
from openeo_jobs.errors import BackendAnswerError
from openeo_jobs.jobs import Asset

RESULTS_FILENAME = "job-results.json"
TIMEOUT_SECONDS = 300.0

Result = TypeVar("Result")


def download_results(transport: Transport, batch_job_id: str, folder: Path) -> list[Asset]:
    """Download the assets of a batch job into *folder*, then write `job-results.json`.

    Names are those that openEO's client gives, made safe and distinct. Each file is written to
    `<name>.part`, compared with `Content-Length`, `file:size` and `file:checksum` as far as these are given,
    synchronised and renamed. A file that is there already, as announced, is not fetched again. Only top-level
    `assets` are fetched, as by openEO's client, not those of linked items. `job-results.json` holds the
    results document without the queries of its links, which may be signed.

    :raises BackendError: an asset could not be had; one that is not as announced is a `BackendAnswerError`.
    :raises OSError: the folder cannot be written.
    """
    url = transport.url_of("jobs", batch_job_id, "results")
    document = transport.get_json(url)
    assets = _assets_in(document, batch_job_id)
    folder.mkdir(parents=True, exist_ok=True)
    reserved = (RESULTS_FILENAME, f"job_{batch_job_id}.json", f"job_{batch_job_id}_errors.json")
    filenames = assign_filenames(assets, reserved=reserved)
    fetched = [
        _fetch(transport, resolved(url, asset["href"]), key, asset, folder / filenames[key])
        for key, asset in assets.items()
    ]
    text = json.dumps(_without_secrets(document), indent=2, ensure_ascii=False)
    _write(folder / RESULTS_FILENAME, lambda file: file.write(text.encode(errors="replace")))
    return fetched


def _assets_in(document: Mapping[str, Any], batch_job_id: str) -> dict[str, Mapping[str, Any]]:
    assets = document.get("assets")
    if not isinstance(assets, dict):
        raise BackendAnswerError(f"the results of {batch_job_id} have no assets: assets is {assets!r:.80}")
    for key, asset in assets.items():
        if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
            raise BackendAnswerError(f"asset {key!r:.80} of {batch_job_id} has no href")
    return assets


def _fetch(transport: Transport, url: str, key: str, asset: Mapping[str, Any], path: Path) -> Asset:
    check = Check.of(asset)
    digest = check.accepted(path)
    if digest is None:
        digest = _download(transport, url, check, path)
    media_type = asset.get("type")
    return Asset(
        name=key,
        path=path,
        size=digest.size,
        media_type=media_type if isinstance(media_type, str) else None,
        checksum=digest.sha256,
    )


def _download(transport: Transport, url: str, check: Check, path: Path) -> Digest:
    if not url.lower().startswith(("http://", "https://")):
        raise BackendAnswerError(f"asset {path.name} cannot be fetched from {without_query(url)[:200]}")
    ask = _Ask(transport, url)
    with ask({}) as response:
        check = check.with_size(length_of(response))
        return check.accepted(path) or _save(response, ask, check, path)


@dataclass(frozen=True, slots=True)
class _Ask:
    """Asks for a file, with more headers each time."""

    transport: Transport
    url: str

    def __call__(self, headers: Mapping[str, str]) -> requests.Response:
        return self.transport.send(
            "GET",
            self.url,
            # What is compressed on the way has no length that could be compared.
            headers={"Accept-Encoding": "identity", **headers},
            is_streamed=True,
            is_signed="?" in self.url and not self.transport.is_below_root(self.url),
            timeout_seconds=TIMEOUT_SECONDS,
        )


def _save(response: requests.Response, ask: Ask, check: Check, path: Path) -> Digest:
    return _write(path, lambda file: receive(response, ask, file, check))


def _write(path: Path, produce: Callable[[BinaryIO], Result]) -> Result:
    """Write a file under a temporary name, and rename it once it is whole and on the disk."""
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            result = produce(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return result


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without_query(item) if name == "href" and isinstance(item, str) else _without_secrets(item)
        for name, item in value.items()
    }
