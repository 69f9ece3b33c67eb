"""Dead logins: the command that mends one, and when a login is suspected that a backend answers 5xx to."""

from __future__ import annotations

import shlex

DOUBTED_AFTER_ROUNDS = 3


def login_command(url: str, *, provider_id: str | None = None) -> str:
    """Return the command of openEO's client that logs a person in, and stores that for every process."""
    words = ["openeo-auth", "oidc-auth", url]
    return shlex.join([*words, *(["--provider-id", provider_id] if provider_id else [])])


def is_doubtful(rounds_of_errors: int) -> bool:
    """Say whether a login may be dead that was answered 5xx, and nothing else, for so many rounds.

    Some backends answer 500 to a token that has expired.
    """
    return rounds_of_errors >= DOUBTED_AFTER_ROUNDS
