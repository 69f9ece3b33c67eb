"""Read files of complete rows, in several threads: are they here, as long as they were, and the same?"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from stat import S_ISREG
from threading import Event

from openeo_jobs.assets import RESULTS_FILENAME, Asset
from openeo_jobs.policy.verification import CompleteRow, Flaw, Verified

THREADS = 4
_BEFOREHAND = 8
"""How many rows wait to be read, or to be told."""
_CHUNK_BYTES = 1 << 20


def verify_all(rows: Iterable[CompleteRow]) -> Iterator[Verified]:
    """Verify rows, in their order; few of them are in memory, and files are read a piece at a time.

    Whoever takes no more of it lets reading end at once.
    """
    stopped = Event()
    waiting: deque[Future[Verified]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="openeo-jobs verify") as pool:
        try:
            for row in rows:
                waiting.append(pool.submit(verify, row, goes_on=lambda: not stopped.is_set()))
                if len(waiting) > _BEFOREHAND:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


def verify(row: CompleteRow, *, reads: bool = True, goes_on: Callable[[], bool] = lambda: True) -> Verified:
    """Compare the files of a row with what was found when they had arrived; without *reads*, by size only."""
    if not row.assets:
        return Verified(row=row, flaws=((Flaw.UNKNOWN, None),) if row.is_wanted else ())
    found = [(_find_flaw(asset, reads, goes_on), asset.path) for asset in row.assets]
    flaws = [(flaw, path) for flaw, path in found if flaw is not None]
    documents = {asset.path.with_name(RESULTS_FILENAME) for asset in row.assets}
    flaws += [(flaw, path) for path in sorted(documents) if (flaw := _find_document_flaw(path))]
    return Verified(row=row, flaws=tuple(flaws), size=sum(asset.size or 0 for asset in row.assets))


def _find_flaw(asset: Asset, reads: bool, goes_on: Callable[[], bool]) -> Flaw | None:
    try:
        size = _size_of(asset.path)
        if size is None:
            return Flaw.MISSING
        if asset.size is not None and size != asset.size:
            return Flaw.SIZE
        if asset.checksum is None:
            return Flaw.NO_CHECKSUM
        is_right = not reads or _hash(asset.path, goes_on) == asset.checksum
        return None if is_right else Flaw.CHECKSUM
    except OSError:
        return Flaw.UNREADABLE


def _find_document_flaw(path: Path) -> Flaw | None:
    try:
        return Flaw.DOCUMENT if _size_of(path) is None else None
    except OSError:
        return Flaw.UNREADABLE


def _size_of(path: Path) -> int | None:
    """Return how long a file is, in bytes; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if S_ISREG(found.st_mode) else None


def _hash(path: Path, goes_on: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    piece = memoryview(bytearray(_CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while length := file.readinto(piece):
            if not goes_on():
                raise CancelledError(f"{path} was not read to its end")
            digest.update(piece[:length])
    return digest.hexdigest()
