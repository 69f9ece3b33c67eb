"""Where a campaign lies: what `job_db` and `output_file` mean."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openeo_jobs.errors import UsageError
from openeo_jobs.frames import PARQUET_SUFFIXES, is_parquet
from openeo_jobs.storage.database import path_in_url

DATABASE_SUFFIXES = (".sqlite", ".db")
MIRROR_SUFFIXES = (".csv", *PARQUET_SUFFIXES)
_INTERFACE = ("exists", "persist", "count_by_status", "get_by_status")  # openeo 0.40 has no more


@dataclass(frozen=True, slots=True)
class Location:
    """Where a campaign is: its database, its mirror, and the user's job database, if it has those."""

    database: Path
    mirror: Path | None = None
    job_db: Any = None
    """An object of openEO's, which people go on reading: of the *mirror*, or with no file that we know."""

    @property
    def is_begun(self) -> bool:
        """Say whether the database exists."""
        return self.database.exists()


def locate(job_db: Any, output_file: Any = None, *, root_dir: Path = Path()) -> Location:
    """Return the files that `run_jobs` means by its third argument.

    A `.csv` or `.parquet` has its database beside it. So has an object of openEO's for such a file; that of
    any other is in *root_dir*.
    """
    if job_db is not None and output_file is not None:
        raise UsageError("run_jobs: output_file and job_db are two names for one thing; give one of them")
    given = job_db if job_db is not None else output_file
    if given is None:
        raise UsageError('run_jobs: where to keep the jobs? Give output_file="jobs.csv"')
    if isinstance(given, (str, Path)):
        return _checked(_locate_path(given))
    own = getattr(given, "location", None)
    if isinstance(own, Location):
        return own
    if all(callable(getattr(given, name, None)) for name in _INTERFACE):
        return _checked(_locate_object(given, root_dir))
    raise UsageError(
        f"run_jobs: job_db is {type(given).__name__}; give a path that ends in "
        f'{_listed(MIRROR_SUFFIXES + DATABASE_SUFFIXES)}, such as "jobs.csv", or a job database'
    )


def _locate_path(given: str | Path) -> Location:
    path = Path(path_in_url(str(given)) if "://" in str(given) else given)
    if path.suffix.lower() in DATABASE_SUFFIXES:
        return Location(path)
    if path.suffix.lower() in MIRROR_SUFFIXES:
        return Location(path.with_suffix(".sqlite"), path)
    raise UsageError(
        f"run_jobs: {str(given)!r} does not end in {_listed(MIRROR_SUFFIXES + DATABASE_SUFFIXES)}; "
        'give a path such as "jobs.csv"'
    )


def _locate_object(job_db: Any, root_dir: Path) -> Location:
    if not _keeps_a_file_as_we_know_it(job_db):
        return Location(root_dir / "jobs.sqlite", job_db=job_db)
    path = Path(job_db.path)
    return Location(path.with_suffix(".sqlite"), path, job_db)


def _keeps_a_file_as_we_know_it(job_db: Any) -> bool:
    """Say whether it is openEO's `CsvJobDatabase` or `ParquetJobDatabase`, or reads and writes like it."""
    upstream = sys.modules.get("openeo.extra.job_management")
    known = [getattr(upstream, name, None) for name in ("CsvJobDatabase", "ParquetJobDatabase")]
    return any(
        isinstance(kind, type)
        and isinstance(job_db, kind)
        and all(getattr(type(job_db), name) is getattr(kind, name) for name in ("exists", "read", "persist"))
        for kind in known
    )


def _checked(location: Location) -> Location:
    for path in (location.database, location.mirror):
        if path is not None and path.is_dir():
            raise UsageError(f"run_jobs: {path} is a folder; name a file in it, such as {path / 'jobs.csv'}")
    if location.mirror is not None and is_parquet(location.mirror) and find_spec("pyarrow") is None:
        raise UsageError(
            f"run_jobs: {location.mirror} is Parquet, which takes pyarrow; "
            "run: pip install 'openeo-jobs[parquet]'"
        )
    return location


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
