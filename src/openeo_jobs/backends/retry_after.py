"""How long an answer asks to wait before the next request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(days=1)


def retry_after_in(headers: Mapping[str, str]) -> timedelta | None:
    """Read `Retry-After` (RFC 9110, 10.2.3), seconds or a date, at most `LONGEST`; None where there is none.

    A date is compared with the answer's own `Date`: the clocks of two machines differ.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        # More digits than this are longer than the longest wait, and than what a timedelta can hold.
        return min(timedelta(seconds=int(text[:9])), LONGEST)
    until, sent_at = _instant(text), _instant(headers.get("Date", ""))
    if until is None or sent_at is None:
        return None
    return min(max(until - sent_at, timedelta(0)), LONGEST)


def _instant(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
