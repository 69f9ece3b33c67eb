"""Who may do what: bearer tokens for users, signatures for links."""

from __future__ import annotations

import base64
import hashlib
import hmac

PASSWORD = "password"
"""The password of every user, whatever the name."""

_SCHEME = "Bearer basic//"


class Keys:
    """Makes and checks tokens and signatures; the same secret makes the same ones after a restart."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def make_token(self, user: str) -> str:
        """Make the access token of *user*, as `GET /credentials/basic` hands it out."""
        name = base64.urlsafe_b64encode(user.encode()).decode().rstrip("=")
        return f"{name}.{self._sign('token', user)}"

    def read_token(self, authorization: str) -> str | None:
        """Return the user of the header `Bearer basic//TOKEN`; None if the token is not one of ours."""
        if not authorization.startswith(_SCHEME):
            return None
        name, _, signature = authorization.removeprefix(_SCHEME).partition(".")
        user = _decode(name)
        return user if user is not None and self._is_from_us("token", user, signature) else None

    def sign(self, path: str) -> str:
        """Make the signature that lets anybody read *path*."""
        return self._sign("path", path)

    def is_signed(self, path: str, signature: str | None) -> bool:
        """Say whether *signature* belongs to *path*."""
        return signature is not None and self._is_from_us("path", path, signature)

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


def _decode(encoded: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(encoded.translate(str.maketrans("+/", "-_")) + "==").decode()
    except ValueError:
        return None
