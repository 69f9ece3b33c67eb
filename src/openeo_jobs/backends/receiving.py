"""A file on its way here: received, continued where it was cut off, and known by its hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import requests

from openeo_jobs.backends.checks import Check, Digest
from openeo_jobs.backends.foreign import error_in_exception, is_broken_connection
from openeo_jobs.backends.texts import place_of
from openeo_jobs.errors import BackendAnswerError, BackendError

MAX_CONTINUATIONS = 5

_CHUNK = 1 << 16
"""As urllib3 forgets the beginning of a piece that is cut off, what is received ends with a whole one."""

Ask = Callable[[Mapping[str, str]], requests.Response]
"""Sends the request for the file again, with more headers."""


def receive(response: requests.Response, ask: Ask, file: BinaryIO, check: Check) -> Digest:
    """Write what *response* brings into *file*, and return its digest.

    What is cut off is continued, a few times and as long as something arrives each time, if the server has
    named the file's version (a strong `ETag`) and sends the rest of that very version (RFC 9110, `Range` and
    `If-Range`).

    :raises BackendAnswerError: the file is cut short, or not what *check* wants.
    """
    digest = check.new_digest()
    version = _version_of(response)
    for _ in range(MAX_CONTINUATIONS):
        before = digest.size
        if _take(response, file, digest):
            return _checked(digest, check, response)
        if version is None or digest.size == before:
            break
        response.close()
        response = _ask_for_rest(ask, digest.size, version)
    raise _cut_short(response)


def length_of(response: requests.Response) -> int | None:
    """Return the announced length of a file; None where none is, or where it is encoded on the way."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and not _is_encoded(response) else None


def _take(response: requests.Response, file: BinaryIO, digest: Digest) -> bool:
    """Write what comes; say whether it came to its end."""
    with response:
        for chunk in _chunks(response):
            if chunk is None:
                return False
            digest.update(chunk)
            file.write(chunk)
    return True


def _chunks(response: requests.Response) -> Iterator[bytes | None]:
    """Yield what comes, and None where the connection breaks."""
    try:
        yield from response.iter_content(_CHUNK)
    except requests.RequestException as error:
        if not is_broken_connection(error):
            raise error_in_exception(error) or _cut_short(response) from error
        yield None


def _ask_for_rest(ask: Ask, begin: int, version: str) -> requests.Response:
    response = ask({"Range": f"bytes={begin}-", "If-Range": version})
    if response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
        f"bytes {begin}-"
    ):
        return response
    response.close()
    raise _cut_short(response)


def _checked(digest: Digest, check: Check, response: requests.Response) -> Digest:
    if (complaint := check.complaint(digest)) is not None:
        raise BackendAnswerError(f"an asset is not whole: {complaint} ({place_of('GET', response.url)})")
    return digest


def _version_of(response: requests.Response) -> str | None:
    version: str | None = response.headers.get("ETag")
    is_strong = version is not None and version.startswith('"')
    return version if is_strong and not _is_encoded(response) else None


def _is_encoded(response: requests.Response) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"


def _cut_short(response: requests.Response) -> BackendError:
    return BackendAnswerError(f"an asset was cut short ({place_of('GET', response.url)})")
