"""Instants as backends write them: RFC 3339, and what comes close to it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?([Zz]|UTC|[+-]\d\d:?\d\d))?")


def read_instant(value: object) -> datetime | None:
    """Read an instant; without a zone it is UTC. None for what is no instant: other types, a bare date."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value.strip()):
        return None
    text = re.sub(r" ?([Zz]|UTC)$", "+00:00", value.strip()).replace(" ", "T", 1).replace(" ", "")
    try:
        instant = datetime.fromisoformat(text)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # The database keeps milliseconds: what is read twice is the same twice.
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
