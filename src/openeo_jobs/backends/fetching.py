"""One file on its way here: continued where it was cut off, whole under its final name, or not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from openeo_jobs.assets import Fetched, Offer
from openeo_jobs.backends.checks import Check, Digest
from openeo_jobs.backends.foreign import error_in_exception, is_broken_connection
from openeo_jobs.backends.parts import PartFile, remove_part
from openeo_jobs.backends.texts import place_of, without_query
from openeo_jobs.backends.transport import Transport
from openeo_jobs.errors import (
    BackendAnswerError,
    BackendError,
    BackendRefusedError,
    DownloadInterruptedError,
)

MAX_CONTINUATIONS = 5
TIMEOUT_SECONDS = 300.0
WORTH_CONTINUING = 1 << 20
"""Bytes; a smaller file that was cut off when the process died is fetched anew."""

_CHUNK = 1 << 16
"""As urllib3 forgets the beginning of a piece that is cut off, what is received ends with a whole one."""
_RANGE_NOT_SATISFIABLE = 416

Begins = Callable[[str | None, int | None], None]
"""Told the version of the file (a strong `ETag`) and its size in bytes, as far as the server says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a file is fetched.

    - `version`: the strong `ETag` of what an earlier process has left in the `.part`, which is continued;
      None: that is begun anew. `size` is how many bytes that version has in all, if that is known.
    - `keeps`: whether a file that is there already may stay, if it is as announced.
    - `begins`: told which version the `.part` is about to hold, before its first byte is written.
    - `ends`: called when the file is whole, before it gets its name; raises where it must not any more.
    - `goes_on`: asked between two pieces; once it says no, a file that can be continued is left as it is.
    """

    version: str | None = None
    size: int | None = None
    keeps: bool = True
    begins: Begins = lambda version, size: None
    ends: Callable[[], None] = lambda: None
    goes_on: Callable[[], bool] = lambda: True


def fetch(transport: Transport, offer: Offer, path: Path, terms: Terms) -> Fetched:
    """Fetch a file to *path*; return its size and SHA-256.

    It is written to `<name>.part` (`PartFile`), compared with `Content-Length`, `file:size` and
    `file:checksum` as far as these are given, synchronised and renamed. What is cut off is continued, as long
    as something arrives each time, if the server has named the version and sends the rest of that very
    version (RFC 9110, `Range` and `If-Range`); else it is begun anew the next time.

    :raises BackendError: it could not be had; one that is not as announced is a `BackendAnswerError`.
    :raises DownloadInterruptedError: `goes_on` said no.
    :raises OSError: it cannot be written.
    """
    if not offer.url.lower().startswith(("http://", "https://")):
        raise BackendAnswerError(f"asset {path.name} cannot be fetched from {without_query(offer.url)[:200]}")
    check = Check.of(size=offer.size, multihash=offer.checksum)
    digest = check.accepted(path) if terms.keeps else None
    if digest is None:
        with PartFile(path) as part:
            digest = _Download(transport, offer, check, terms, part, path).run()
    else:
        remove_part(path)
    return Fetched(size=digest.size, checksum=digest.sha256)


class _Download:
    """A `.part` that grows until it is whole."""

    def __init__(
        self, transport: Transport, offer: Offer, check: Check, terms: Terms, part: PartFile, path: Path
    ) -> None:
        self._transport = transport
        self._offer = offer
        self._announced = check
        self._check = check.with_size(terms.size)
        self._terms = terms
        self._part = part
        self._file = part.file
        self._path = path
        self._version = None if part.is_spare else terms.version
        self._has_told = self._version is not None
        self._digest = check.new_digest()

    def run(self) -> Digest:
        """Fetch what is missing; leave the whole file under its name, or a part that can be continued."""
        try:
            if self._version is None:
                self._file.truncate(0)
            else:
                self._digest.update_from(self._file)
            self._receive()
            self._terms.ends()
            self._part.finish()
        except BaseException:
            if self._version is None or self._part.is_spare:
                self._part.remove()
            raise
        return self._digest

    def _receive(self) -> None:
        if self._is_whole():
            return
        for _ in range(1 + MAX_CONTINUATIONS):
            before = self._digest.size
            response = self._ask()
            if self._take(response):
                self._check_whole(response)
                return
            if self._version is None or self._digest.size <= before:
                break
        raise _cut_short(response)

    def _is_whole(self) -> bool:
        """Say whether a part that was left behind is all there is to it: it was not renamed any more."""
        return bool(self._digest.size) and self._digest.size == self._check.size and not self._complaint()

    def _ask(self) -> requests.Response:
        """Ask for the file, or the rest of it; begin anew where the rest is not to be had."""
        if not self._digest.size or self._version is None:
            return self._begin(self._send({}))
        headers = {"Range": f"bytes={self._digest.size}-", "If-Range": self._version}
        try:
            response = self._send(headers)
        except BackendRefusedError as error:
            if error.http_status != _RANGE_NOT_SATISFIABLE:
                raise
            return self._begin(self._send({}))
        return response if self._is_rest(response) else self._begin(response)

    def _begin(self, response: requests.Response) -> requests.Response:
        """Empty the part, and tell what it is about to hold."""
        if response.status_code == requests.codes.partial_content:
            response.close()  # another part than the one that was asked for
            response = self._send({})
        self._file.truncate(0)
        self._digest = self._check.new_digest()
        length = _length_of(response)
        self._check = self._announced.with_size(length)
        self._version = _version_of(response)
        is_small = length is not None and length < WORTH_CONTINUING
        can_stay = self._version is not None and not is_small and not self._part.is_spare
        if self._has_told or can_stay:
            self._terms.begins(self._version, length)
            self._has_told = True
        return response

    def _is_rest(self, response: requests.Response) -> bool:
        content_range = response.headers.get("Content-Range", "")
        return (
            response.status_code == requests.codes.partial_content
            and content_range.startswith(f"bytes {self._digest.size}-")
            and response.headers.get("ETag", self._version) == self._version
        )

    def _send(self, headers: Mapping[str, str]) -> requests.Response:
        url = self._offer.url
        return self._transport.send(
            "GET",
            url,
            # What is compressed on the way has no length that could be compared.
            headers={"Accept-Encoding": "identity", **headers},
            is_streamed=True,
            is_signed="?" in url and not self._transport.is_below_root(url),
            timeout_seconds=TIMEOUT_SECONDS,
        )

    def _take(self, response: requests.Response) -> bool:
        """Write what comes; say whether it came to its end."""
        with response:
            for chunk in _chunks(response):
                if chunk is None:
                    return False
                self._digest.update(chunk)
                if self._check.size is not None and self._digest.size > self._check.size:
                    self._check_whole(response)
                self._file.write(chunk)
                if self._version is not None and not self._terms.goes_on():
                    raise DownloadInterruptedError(f"{self._path.name} is continued by the next run")
        return True

    def _check_whole(self, response: requests.Response) -> None:
        if (complaint := self._complaint()) is not None:
            self._version = None  # whatever it is, it is nothing to go on with
            place = place_of("GET", response.url)
            raise BackendAnswerError(f"an asset is not whole: {complaint} ({place})")

    def _complaint(self) -> str | None:
        return self._check.complaint(self._digest)


def _chunks(response: requests.Response) -> Iterator[bytes | None]:
    """Yield what comes, and None where the connection breaks."""
    try:
        yield from response.iter_content(_CHUNK)
    except requests.RequestException as error:
        if not is_broken_connection(error):
            raise error_in_exception(error) or _cut_short(response) from error
        yield None


def _length_of(response: requests.Response) -> int | None:
    """Return the announced length of a file; None where none is, or where it is encoded on the way."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and not _is_encoded(response) else None


def _version_of(response: requests.Response) -> str | None:
    version: str | None = response.headers.get("ETag")
    is_strong = version is not None and version.startswith('"')
    return version if is_strong and not _is_encoded(response) else None


def _is_encoded(response: requests.Response) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"


def _cut_short(response: requests.Response) -> BackendError:
    return BackendAnswerError(f"an asset was cut short ({place_of('GET', response.url)})")
