"""Listings that come page by page: the links of `rel=next`, followed as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openeo_jobs.backends.roots import resolved
from openeo_jobs.backends.transport import Transport

MAX_PAGES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `next_url` is None on the last page, and only there."""

    document: Mapping[str, Any]
    next_url: str | None


def read_pages(transport: Transport, url: str, params: Mapping[str, Any]) -> Iterator[Page]:
    """Get one page after the other.

    Stops, with a `next_url` that was not followed, where links go round in a circle, lead to another host
    (which must not get the bearer, and so cannot answer), or take no end.
    """
    page = _page(transport, url, params)
    seen: set[str] = set()
    yield page
    while page.next_url is not None and page.next_url not in seen and len(seen) < MAX_PAGES:
        if not transport.is_own(page.next_url):
            return
        seen.add(page.next_url)
        page = _page(transport, page.next_url, {})
        yield page


def _page(transport: Transport, url: str, params: Mapping[str, Any]) -> Page:
    document = transport.get_json(url, params)
    return Page(document=document, next_url=_next_url(document, url))


def _next_url(document: Mapping[str, Any], url: str) -> str | None:
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            return resolved(url, link["href"])
    return None
