"""The fuse: when so many attempts in a row fail of the same that it makes no sense to begin more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openeo_jobs.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What an attempt came to. `key` is what it failed of, normalised; None: not known yet."""

    has_succeeded: bool
    key: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A fuse that lets nothing new begin. `message` is None until it is known whether all failed alike."""

    message: str | None


def read_limit(value: Any) -> int | None:
    """Return the number of failures in a row that trip the fuse; None: none do."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"max_failures_in_a_row is a number from 1, or None, not {value!r}")
    return value


def judge_fuse(latest: Sequence[End], limit: int) -> Trip | None:
    """Say whether the *latest* ends, newest first, trip a fuse: *limit* failures alike, and no success.

    A failure whose reason is still to be fetched counts as alike, so that not even a few more begin
    meanwhile. The next success closes the fuse again.
    """
    row = latest[:limit]
    keys = {end.key for end in row if end.key is not None}
    if len(row) < limit or len(keys) > 1 or any(end.has_succeeded for end in row):
        return None
    is_certain = all(end.key is not None for end in row)
    return Trip(message=row[0].message if is_certain else None)
