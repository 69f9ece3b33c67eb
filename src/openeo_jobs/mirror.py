"""The mirror: the CSV that the documentation calls `output_file`, always whole, never read during a run."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from openeo_jobs.errors import MirrorError
from openeo_jobs.frames import csv_bytes
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")


class Mirror:
    """A CSV beside the database, written under a temporary name and renamed, only when something changed."""

    def __init__(self, store: JobStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._key = _name_beside(path, store.path)
        self._mark: object = None
        self._is_warned = False

    @property
    def described(self) -> dict[str, tuple[str, ...]]:
        """The file as a campaign notes it: what is there now counts as written by us."""
        return {self._key: (_hash(self._path.read_bytes()),)} if self._path.exists() else {}

    def check(self) -> None:
        """Raise `MirrorError` if the file is not what was last written: it is never overwritten."""
        campaign = self._store.campaigns.load()
        known = campaign.mirrors.get(self._key, ()) if campaign else ()
        if not self._path.exists() or _hash(self._path.read_bytes()) in known:
            return
        if not known:
            raise MirrorError(
                f"{self._path} exists, and was not written from {self._store.path}; it is left as it is. "
                "Name another output_file, or move it aside to begin a campaign here"
            )
        raise MirrorError(
            f"{self._path} was edited since it was written from {self._store.path}; it is left as it is. "
            "Edits are not taken over yet: move the file aside and run again (failed rows are restarted "
            f"with: openeo-jobs retry {self._store.path} --status error)"
        )

    def write(self) -> bool:
        """Bring the file up to date; return whether it was written. What goes wrong is told once."""
        mark = self._store.jobs.change_mark()
        if mark == self._mark and self._path.exists():
            return False
        try:
            is_written = self._write()
        except OSError as error:
            if not self._is_warned:
                log.warning("%s cannot be written (%s); tried again each round", self._path, error)
            self._is_warned = True
            return False
        self._mark, self._is_warned = mark, False
        return is_written

    def _write(self) -> bool:
        campaign = self._store.campaigns.load()
        if campaign is None:
            return False
        content = csv_bytes(campaign, self._store.jobs.all())
        known, new = campaign.mirrors.get(self._key, ()), _hash(content)
        if self._path.exists() and known == (new,):
            return False
        # All are ours until the rename is done: a crash, or a file that is open in Excel, leaves an old one.
        if new not in known:
            self._store.campaigns.record_mirror(self._key, (*known, new))
        _replace(self._path, content)
        self._store.campaigns.record_mirror(self._key, (new,))
        return True


def _name_beside(path: Path, database: Path) -> str:
    """Return *path* as seen from the folder of the database, so that the folder may be moved or copied."""
    try:
        return Path(os.path.relpath(path, database.parent)).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path.absolute())


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
