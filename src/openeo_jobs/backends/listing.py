"""The listing of all batch jobs of an account, and whether it proves that something is absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openeo_jobs.backends.observations import observation_in_listing
from openeo_jobs.backends.pages import read_pages
from openeo_jobs.backends.transport import Transport
from openeo_jobs.errors import BackendAnswerError
from openeo_jobs.jobs import Listing, Observation

PAGE_SIZE = 100
PROBE_SIZE = 10
"""Of a short page; caps are multiples of it."""


def list_batch_jobs(transport: Transport) -> Listing:
    """Get `GET /jobs`, every page.

    A backend that ignores `limit` and gives everything at once is fine. One that gives a round number and no
    link may have capped the list: then a short page is asked for. If that comes with a link, the backend does
    page, and the absence of a link meant the end. If it is not short, but everything again, that was the end
    as well, unless it is a round hundred. Else a page of twice the size must come back with room left in it,
    or the listing is called incomplete.
    """
    reader = _Reader(transport)
    count = reader.read(PAGE_SIZE)
    if count and count % PROBE_SIZE == 0 and not reader.has_followed:
        reader.is_complete &= reader.is_whole(count) or reader.has_room(2 * count, besides=count)
    return Listing(
        batch_jobs=tuple(reader.found.values()),
        is_complete=reader.is_complete,
        is_part_missing=reader.is_part_missing,
    )


class _Reader:
    """Collects what the pages hold."""

    def __init__(self, transport: Transport) -> None:
        self.found: dict[str, Observation] = {}
        self.is_complete = True
        self.is_part_missing = False
        self.has_followed = False
        self._transport = transport
        self._url = transport.url_of("jobs")

    def read(self, limit: int) -> int:
        """Read all pages of *limit*; return how many entries the first one had."""
        first: int | None = None
        next_url: str | None = None
        for page in read_pages(self._transport, self._url, {"limit": limit}):
            count, new = self._take(page.document)
            next_url = page.next_url
            if first is None:
                first = count
            else:
                self.has_followed = True
                if count and not new:
                    break
        else:
            self.is_complete &= next_url is None
            return first or 0
        self.is_complete = False  # the link leads to the same page again and again
        return first or 0

    def is_whole(self, count: int) -> bool:
        """Say whether a short page, of fewer than *count*, shows that *count* without a link is the end."""
        limit = min(PROBE_SIZE, count - 1)
        page = next(read_pages(self._transport, self._url, {"limit": limit}))
        again, _ = self._take(page.document)
        return page.next_url is not None or (again > limit and count % PAGE_SIZE != 0)

    def has_room(self, limit: int, *, besides: int) -> bool:
        """Say whether a page of *limit* comes back with more than *besides* entries, and not full."""
        page = next(read_pages(self._transport, self._url, {"limit": limit}))
        count, _ = self._take(page.document)
        return besides < count < limit and page.next_url is None

    def _take(self, document: Mapping[str, Any]) -> tuple[int, int]:
        """Collect the entries of a page; return how many there are, and how many are new."""
        entries = document.get("jobs")
        if not isinstance(entries, list):
            raise BackendAnswerError(f"the list of batch jobs has no jobs: jobs is {entries!r:.80}")
        if document.get("federation:missing"):
            self.is_complete, self.is_part_missing = False, True
        before = len(self.found)
        for entry in entries:
            observation = observation_in_listing(entry)
            if observation is None:
                self.is_complete = False
            else:
                self.found[observation.batch_job_id] = observation
        return len(entries), len(self.found) - before
