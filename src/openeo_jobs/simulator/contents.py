"""What is in the files of results; big ones are computed piece by piece, whatever is asked for of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

PERIOD = 1_000_003
"""After so many bytes a drawn content repeats itself: a prime number, so that pieces of 2^n bytes differ."""

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """So many bytes, drawn from *seed*, or those that are given as *whole*."""

    size: int
    seed: str = ""
    whole: bytes | None = None

    @classmethod
    def of(cls, whole: bytes) -> Content:
        """Return the content that is just that."""
        return cls(size=len(whole), whole=whole)

    @property
    def sha256(self) -> str:
        """The SHA-256, in hex."""
        return _hash(self)

    @property
    def version(self) -> str:
        """What tells it from every other one, and takes no time to compute."""
        return hashlib.sha256(b"%d:%b" % (self.size, self._pattern)).hexdigest()

    def read(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes from *first* to *last*, both included, in pieces."""
        pattern = self._pattern
        while first <= last:
            at = first % len(pattern)
            piece = pattern[at : at + min(_PIECE, last + 1 - first)]
            first += len(piece)
            yield piece

    @property
    def _pattern(self) -> bytes:
        return self.whole if self.whole is not None else _draw(self.seed, min(self.size, PERIOD))


@lru_cache(maxsize=16)
def _draw(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@lru_cache(maxsize=256)
def _hash(content: Content) -> str:
    digest = hashlib.sha256()
    for piece in content.read(0, content.size - 1):
        digest.update(piece)
    return digest.hexdigest()
