"""The tag that the tracker appends to a batch job's title, as the simulator reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = re.compile(r"\s*\[oj-(?P<campaign>[0-9a-z]{6})-(?P<row>[0-9a-z]+)-[0-9a-z]+\]\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """Which row of which campaign a batch job was created for."""

    campaign: str
    row: int


def read_tag(title: str | None) -> Tag | None:
    """Read the tag at the end of *title*; None where there is none."""
    match = _TAG.search(title or "")
    return Tag(campaign=match["campaign"], row=int(match["row"], 36)) if match else None


def strip_tag(title: str | None) -> str:
    """Return *title* without its tag: what stays the same from attempt to attempt."""
    return _TAG.sub("", title or "")
