"""Texts that nobody can guess: the uid of a campaign, the end of a tag."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def make_uid() -> str:
    """Return a uid for a campaign, whose first six letters are in every tag."""
    return make_token(12)


def make_token(length: int = 5) -> str:
    """Return a text of letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
