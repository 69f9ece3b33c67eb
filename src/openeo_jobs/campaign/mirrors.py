"""Mirrors: the file that the documentation calls `output_file`, always whole, never read during a run."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from openeo_jobs.campaign.edits import take_over_edits
from openeo_jobs.campaign.locations import Location
from openeo_jobs.campaign.objects import ObjectMirror
from openeo_jobs.campaign.reading import read_snapshot
from openeo_jobs.campaign.tokens import make_token
from openeo_jobs.errors import MirrorError
from openeo_jobs.frames import mirror_bytes, read_edited_file
from openeo_jobs.storage.store import JobStore

log = logging.getLogger("openeo_jobs")

EDITED_SUFFIX = ".edited"


class Mirror(Protocol):
    """What shows a campaign outside of its database."""

    def take_over_edits(self, *, at: datetime) -> None:
        """Take over what somebody has edited there since it was last written."""
        ...

    def write(self) -> bool:
        """Bring it up to date; return whether that was needed."""
        ...


def make_mirror(store: JobStore, location: Location) -> Mirror | None:
    """Make the mirror that a campaign has there; None where it has none."""
    job_db = location.job_db
    if location.mirror is not None:
        return FileMirror(store, location.mirror, tell=lambda: _refresh(job_db))
    return ObjectMirror(store, job_db) if job_db is not None else None


class FileMirror:
    """A CSV or Parquet file, written under a temporary name and renamed, only when something changed."""

    def __init__(self, store: JobStore, path: Path, *, tell: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._path = path
        self._key = _name_beside(path, store.path)
        self._tell = tell
        self._mark: object = None
        self._is_warned = False

    def describe(self) -> dict[str, str]:
        """Return the file as a campaign notes it that begins with it: what is there counts as ours."""
        return {self._key: _hash(self._path.read_bytes())}

    def take_over_edits(self, *, at: datetime) -> None:
        """Take over what was edited in the file since it was last written (`openeo_jobs.campaign.edits`).

        Raises `MirrorError` for a file that was never ours: it is not overwritten.
        """
        campaign = self._store.campaigns.load()
        found = _hash_of(self._path)
        if campaign is None or found is None or self._is_ours(found):
            return
        if not campaign.mirrors.get(self._key):
            raise MirrorError(
                f"{self._path} exists, and was not written from {self._store.path}; it is left as it is. "
                "Name another output_file, or move it aside to begin a campaign here"
            )
        take_over_edits(
            self._store,
            partial(read_edited_file, self._path),
            what=str(self._path),
            mirror=self._key,
            content_hash=found,
            keep_copy=self._keep_edited,
            at=at,
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
        mark, campaign, jobs = read_snapshot(self._store)
        content = mirror_bytes(self._path, campaign, jobs)
        contents, new = campaign.mirrors.get(self._key, ()), _hash(content)
        found = _hash_of(self._path)
        if found == new and contents and contents[-1].content_hash == new and contents[-1].is_there:
            return False
        if found is not None and not self._is_ours(found):
            log.warning("%s was edited meanwhile; kept as %s", self._path, self._keep_edited())
        # All are ours until the rename is done: a crash, or a file that is open in Excel, leaves an old one.
        self._store.campaigns.note_mirror(self._key, new, mark, is_there=False)
        _replace(self._path, content)
        self._store.campaigns.note_mirror(self._key, new, mark, is_there=True)
        self._tell()
        return True

    def _is_ours(self, content_hash: str) -> bool:
        """Say whether we know this content; asked after it was read, as others may write as well."""
        campaign = self._store.campaigns.load()
        contents = campaign.mirrors.get(self._key, ()) if campaign is not None else ()
        known = [*(one for one in contents if not one.is_edit), *contents[-1:]]
        return any(one.content_hash == content_hash for one in known)

    def _keep_edited(self) -> Path:
        """Keep the edited file beside it; copies that are there already are not overwritten."""
        names = (f"{self._path.name}{EDITED_SUFFIX}{n}" for n in ("", *(f"-{i}" for i in range(2, 10_000))))
        copy = next(one for name in names if not (one := self._path.with_name(name)).exists())
        _replace(copy, self._path.read_bytes())
        return copy


def _refresh(job_db: object) -> None:
    """Let an object of openEO's read its file again when it is asked next."""
    if hasattr(job_db, "_df"):
        job_db._df = None


def _name_beside(path: Path, database: Path) -> str:
    """Return *path* as seen from the folder of the database, so that the folder may be moved or copied."""
    try:
        return Path(os.path.relpath(path, database.parent)).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path.absolute())


def _replace(path: Path, content: bytes) -> None:
    """Write a file under a name that nobody else uses, and rename it; a link keeps leading to it."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{make_token()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _hash_of(path: Path) -> str | None:
    try:
        return _hash(path.read_bytes())
    except FileNotFoundError:
        return None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
