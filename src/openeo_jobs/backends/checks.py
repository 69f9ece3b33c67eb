"""What a file must be: its size and checksum, as far as a backend says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

_MULTIHASHES = {"1220": "sha256", "1340": "sha512", "1114": "sha1", "d50110": "md5"}
"""Prefixes (algorithm and length) of the multihash format, and how Python calls the algorithm."""
_CHUNK = 1 << 20


class Digest:
    """Hashes a file while it passes by: by SHA-256, and by what the backend used."""

    def __init__(self, algorithm: str | None) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._theirs = (
            self._sha256
            if algorithm in (None, "sha256")
            else hashlib.new(str(algorithm), usedforsecurity=False)
        )

    def update(self, chunk: bytes) -> None:
        """Take the next piece."""
        self.size += len(chunk)
        self._sha256.update(chunk)
        if self._theirs is not self._sha256:
            self._theirs.update(chunk)

    def update_from(self, file: BinaryIO) -> None:
        """Take all that is in *file*, from its beginning."""
        file.seek(0)
        while chunk := file.read(_CHUNK):
            self.update(chunk)

    @property
    def sha256(self) -> str:
        """The SHA-256, in hex."""
        return self._sha256.hexdigest()

    @property
    def theirs(self) -> str:
        """The hash by the backend's algorithm, in hex."""
        return self._theirs.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What is known of a file before it is here; None where nothing is."""

    size: int | None = None
    algorithm: str | None = None
    checksum: str | None = None

    @classmethod
    def of(cls, *, size: int | None, multihash: str | None) -> Check:
        """Make the check for a file of *size* bytes with a *multihash* (in hex), which may be of any kind."""
        algorithm, checksum = _taken_apart(multihash) if multihash is not None else (None, None)
        return cls(size=size, algorithm=algorithm, checksum=checksum)

    def with_size(self, size: int | None) -> Check:
        """Return the check with *size* where none is known yet."""
        return self if self.size is not None else replace(self, size=size)

    @property
    def says_something(self) -> bool:
        """Whether there is anything to compare with."""
        return self.size is not None or self.checksum is not None

    def new_digest(self) -> Digest:
        """Return a digest that hashes what this check needs."""
        return Digest(self.algorithm)

    def complaint(self, digest: Digest) -> str | None:
        """Say what is wrong with a file; None where nothing is."""
        if self.size is not None and digest.size != self.size:
            return f"{digest.size} bytes, but {self.size} were announced"
        if self.checksum is not None and digest.theirs != self.checksum:
            return f"{self.algorithm} {digest.theirs}, but {self.checksum} was announced"
        return None

    def accepted(self, path: Path) -> Digest | None:
        """Return the digest of the file at *path* if it is what it must be; None if it is not, or unknown."""
        if not self.says_something or not path.is_file():
            return None
        if self.size is not None and path.stat().st_size != self.size:
            return None
        digest = self.new_digest()
        with path.open("rb") as file:
            digest.update_from(file)
        return None if self.complaint(digest) else digest


def _taken_apart(multihash: str) -> tuple[str | None, str | None]:
    multihash = multihash.strip().lower()
    for prefix, algorithm in _MULTIHASHES.items():
        if multihash.startswith(prefix) and len(multihash) == len(prefix) + 2 * int(prefix[-2:], 16):
            return algorithm, multihash[len(prefix) :]
    return None, None


def size_in(value: object) -> int | None:
    """Return the number of bytes that `file:size` says; None where it makes no sense."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < 2**63 else None
