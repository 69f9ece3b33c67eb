"""The file in which another one arrives: one process at a time writes it, whoever believes that it may."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from openeo_jobs.backends.filenames import PART, part_of

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 1 << 40
"""The byte that is locked on Windows, where nobody else could read it: beyond what is in any part."""


class PartFile:
    """The `.part` of the file at *path*, locked; or a spare one, where another process still writes that.

    A process that was taken for dead may be alive, and write what another one fetches by now. Nobody renames,
    cuts or removes a part that he has not locked. A spare one is never gone on with by another process.
    Where the file system knows no locks, nothing is locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = part_of(path)
        self.file = self._part.open("ab+")
        while (is_locked := _lock(self.file)) and not _is_at(self.file, self._part):
            self.file.close()  # it was renamed, or removed, between the opening and the locking
            self.file = self._part.open("ab+")
        self.is_spare = not is_locked
        if self.is_spare:
            self.file.close()
            self._part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
            self.file = self._part.open("ab+")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk
            self.file.close()

    def finish(self) -> None:
        """Give the file its name, once it is on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self._let_go()
        self._part.replace(self._path)

    def remove(self) -> None:
        """Remove it: it is nothing to go on with."""
        self._let_go()
        self._part.unlink(missing_ok=True)

    def _let_go(self) -> None:
        """Close the file where an open one can neither be renamed nor removed."""
        if sys.platform == "win32":
            with suppress(OSError):
                self.file.close()


def remove_part(path: Path) -> None:
    """Remove what has arrived of the file at *path*, unless another process writes it."""
    if part_of(path).exists():
        with PartFile(path) as part:
            part.remove()


def _lock(file: BinaryIO) -> bool:
    """Lock a file for as long as it is open; False: another process has."""
    try:
        if sys.platform == "win32":
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
