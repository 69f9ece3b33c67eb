"""Mirrors: the file that the documentation calls `output_file`, always whole, never read during a run."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from openeo_jobs.jobs import Mirrored
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
        found, contents = self._store.campaigns.compare_mirror(self._key, self._find_hash)
        if campaign is None or found is None or _is_ours(found, contents):
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
        try:
            return self._bring_up_to_date()
        finally:
            # Also where nothing is written: a hook may have been reading while the file was replaced.
            self._tell()

    def _bring_up_to_date(self) -> bool:
        mark = self._store.jobs.change_mark()
        if mark == self._mark and self._path.exists():
            return False
        try:
            while (is_written := self._write()) is None:
                pass  # another process has written meanwhile: once more, with what is true now
        except OSError as error:
            if not self._is_warned:
                log.warning("%s cannot be written (%s); tried again each round", self._path, error)
            self._is_warned = True
            return False
        self._mark, self._is_warned = mark, False
        return is_written

    def _write(self) -> bool | None:
        """Write what is true now; return whether that was needed, None if another process was faster."""
        mark, campaign, jobs = read_snapshot(self._store)
        content = mirror_bytes(self._path, campaign, jobs)
        contents, new = campaign.mirrors.get(self._key, ()), _hash(content)
        is_written = contents and contents[-1].content_hash == new and contents[-1].is_there
        if is_written and self._find_hash() == new:
            return False
        # All are ours until the rename is done: a crash, or a file that is open in Excel, leaves an old one.
        if not self._store.campaigns.announce_mirror(self._key, new, mark):
            return None
        with _written(self._path, content) as put:

            def write(known: Sequence[Mirrored]) -> None:
                found = self._find_hash()
                if found is not None and not _is_ours(found, known):
                    log.warning("%s was edited meanwhile; kept as %s", self._path, self._keep_edited())
                put()

            if not self._store.campaigns.publish_mirror(self._key, new, mark, write):
                return None
        return True

    def _find_hash(self) -> str | None:
        return _hash(self._path.read_bytes()) if self._path.exists() else None

    def _keep_edited(self) -> Path:
        """Keep the edited file beside it; copies that are there already are not overwritten."""
        names = (f"{self._path.name}{EDITED_SUFFIX}{n}" for n in ("", *(f"-{i}" for i in range(2, 10_000))))
        copy = next(one for name in names if not (one := self._path.with_name(name)).exists())
        with _written(copy, self._path.read_bytes()) as put:
            put()
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


def _is_ours(content_hash: str, contents: Sequence[Mirrored]) -> bool:
    """Say whether we know this content: we have written it, or taken it over since we wrote last."""
    written = [i for i, one in enumerate(contents) if one.is_there and not one.is_edit]
    last = written[-1] if written else -1
    return any(
        one.content_hash == content_hash and (i > last or not one.is_edit) for i, one in enumerate(contents)
    )


@contextmanager
def _written(path: Path, content: bytes) -> Iterator[Callable[[], None]]:
    """Write *content* beside *path*, under a name of its own; yield what puts it in its place.

    A link keeps leading to its file.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{make_token()}.part")

    def put() -> None:
        temporary.replace(path)

    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield put
    finally:
        temporary.unlink(missing_ok=True)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
