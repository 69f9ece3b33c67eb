"""Tags: by what is written at the end of a title, a batch job is found again."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TAG = re.compile(r"\boj-([0-9a-z]{6})-([0-9a-z]+)-[0-9a-z]+\b")
_AT_THE_END = re.compile(r"\s*\[oj-[0-9a-z]{6}-[0-9a-z]+-[0-9a-z]+\]\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag as it was found in a title, and the number of the row that it names."""

    text: str
    row: int


def write_tag(uid: str, row: int, token: str) -> str:
    """Return the tag of a create request: `oj-<campaign>-<row, base 36>-<random>`."""
    return f"oj-{uid[:6]}-{_base36(row)}-{token}"


def find_tag(title: str | None, uid: str) -> Tag | None:
    """Find the tag of the campaign with this *uid* in a title; of several, the last one is the latest."""
    found = [match for match in _TAG.finditer(title or "") if match[1] == uid[:6]]
    return Tag(text=found[-1][0], row=int(found[-1][2], 36)) if found else None


def has_tag(title: str | None) -> bool:
    """Say whether a title has the tag of a campaign, of whatever one."""
    return _TAG.search(title or "") is not None


def without_tag(title: str) -> str:
    """Return *title* as it was before a tag, of whatever campaign, was put at its end."""
    return _AT_THE_END.sub("", title)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
