"""Who may do what: bearer tokens for users, signatures for links."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

PASSWORD = "password"
"""The password of every user, whatever the name."""

_SCHEME = "Bearer basic//"
_FOR_EVER = "0"


class Keys:
    """Makes and checks tokens and signatures; the same secret makes the same ones after a restart.

    *generation* counts how often all tokens were made invalid.
    """

    def __init__(self, secret: str, *, generation: int = 0) -> None:
        self._secret = secret.encode()
        self.generation = generation

    def make_token(self, user: str, *, until_at: datetime | None = None) -> str:
        """Make an access token of *user*, as `GET /credentials/basic` hands it out; None: valid for ever."""
        name = base64.urlsafe_b64encode(user.encode()).decode().rstrip("=")
        claims = f"{name}.{self.generation}.{_write_time(until_at)}"
        return f"{claims}.{self._sign('token', claims)}"

    def read_token(self, authorization: str, *, now: datetime) -> str | None:
        """Return the user of the header `Bearer basic//TOKEN`; None if it is not valid, or no longer."""
        claims, _, signature = authorization.removeprefix(_SCHEME).rpartition(".")
        if not authorization.startswith(_SCHEME) or not self._is_from_us("token", claims, signature):
            return None
        name, generation, until = claims.split(".")
        return _decode(name) if int(generation) == self.generation and _is_valid(until, now) else None

    def sign(self, path: str, *, until_at: datetime | None = None) -> str:
        """Make the query of a link by which anybody can read *path*; None: for ever."""
        until = _write_time(until_at)
        return f"signature={self._sign('path', f'{path}:{until}')}" + (f"&until={until}" if until_at else "")

    def is_signed(self, path: str, signature: str | None, until: str | None, *, now: datetime) -> bool:
        """Say whether *signature* belongs to *path*, and is still valid."""
        if signature is None:
            return False
        until = until or _FOR_EVER
        return self._is_from_us("path", f"{path}:{until}", signature) and _is_valid(until, now)

    def _is_from_us(self, purpose: str, text: str, signature: str) -> bool:
        return hmac.compare_digest(self._sign(purpose, text).encode(), signature.encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()[:32]


def read_basic(authorization: str) -> tuple[str, str] | None:
    """Return user and password of the header `Basic ...`; None if it is anything else."""
    scheme, _, encoded = authorization.partition(" ")
    text = _decode(encoded) if scheme.lower() == "basic" else None
    user, separator, password = (text or "").partition(":")
    return (user, password) if separator else None


def _write_time(at: datetime | None) -> str:
    return str(round(at.timestamp() * 1000)) if at is not None else _FOR_EVER


def _is_valid(until: str, now: datetime) -> bool:
    return until == _FOR_EVER or now < datetime.fromtimestamp(int(until) / 1000, UTC)


def _decode(encoded: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(encoded.translate(str.maketrans("+/", "-_")) + "==").decode()
    except ValueError:
        return None
