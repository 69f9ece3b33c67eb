"""JobStore: a campaign's database, by noun; one public method, one transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openeo_jobs.errors import DatabaseError, DatabaseReadOnlyError, SchemaOutdatedError
from openeo_jobs.jobs import Runner
from openeo_jobs.storage import migrate
from openeo_jobs.storage.adoptions import Adoptions
from openeo_jobs.storage.assets import Assets
from openeo_jobs.storage.audits import Audits
from openeo_jobs.storage.backends import Backends
from openeo_jobs.storage.campaigns import Campaigns
from openeo_jobs.storage.cancellations import Cancellations
from openeo_jobs.storage.claims import Claims
from openeo_jobs.storage.complete import CompleteRows
from openeo_jobs.storage.costs import LateCosts
from openeo_jobs.storage.creations import Creations
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.endings import Endings
from openeo_jobs.storage.failures import Failures
from openeo_jobs.storage.hooks import Hooks
from openeo_jobs.storage.interface import Interface
from openeo_jobs.storage.logins import Logins
from openeo_jobs.storage.news import News
from openeo_jobs.storage.orphans import Orphans
from openeo_jobs.storage.owners import Owners
from openeo_jobs.storage.progress import Progress
from openeo_jobs.storage.queries import Jobs
from openeo_jobs.storage.removals import Removals
from openeo_jobs.storage.reports import Reports
from openeo_jobs.storage.retries import Retries
from openeo_jobs.storage.runners import Runners
from openeo_jobs.storage.selections import Selections

_MIRRORS = (".csv", ".parquet")


class JobStore:
    """The campaign of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.campaigns = Campaigns(database)
        self.runners = Runners(database)
        self.owners = Owners(database)
        self.logins = Logins(database)
        self.backends = Backends(database)
        self.jobs = Jobs(database)
        self.selections = Selections(database)
        self.claims = Claims(database)
        self.creations = Creations(database)
        self.orphans = Orphans(database)
        self.adoptions = Adoptions(database)
        self.audits = Audits(database)
        self.progress = Progress(database)
        self.cancellations = Cancellations(database)
        self.endings = Endings(database)
        self.assets = Assets(database)
        self.complete = CompleteRows(database)
        self.removals = Removals(database)
        self.hooks = Hooks(database)
        self.costs = LateCosts(database)
        self.failures = Failures(database)
        self.retries = Retries(database)
        self.interface = Interface(database)
        self.news = News(database)
        self.reports = Reports(database)

    @property
    def path(self) -> Path:
        """The database file."""
        return self._database.path

    def __enter__(self) -> JobStore:
        """Use the store in a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._database.close()


def find_database(path: str | Path) -> Path:
    """Return the database that *path* names: itself, or the one beside a CSV or Parquet file."""
    database = Path(path)
    return database.with_suffix(".sqlite") if database.suffix.lower() in _MIRRORS else database


def open_store(path: Path, *, scripts: Path | None = None) -> JobStore:
    """Open the campaign at *path* for reading and for what users change; the schema has to be current."""
    if not path.exists():
        raise DatabaseError(f"{path} does not exist; a run makes it")
    migrate.verify(path, scripts=scripts)
    return _open(path)


def open_store_for_run(
    path: Path,
    *,
    is_dead: Callable[[Runner], bool],
    scripts: Path | None = None,
    busy_timeout: float | None = None,
) -> JobStore:
    """Open the campaign at *path* for a run: a new database is made, an older one upgraded after a backup.

    *busy_timeout* is how long another program may hold the file, in seconds, before `DatabaseBusyError`;
    None: a minute.
    """
    if not path.exists():
        _create(path, scripts)
    try:
        migrate.verify(path, scripts=scripts)
    except SchemaOutdatedError:
        migrate.upgrade(path, is_dead=is_dead, scripts=scripts)
    return _open(path, busy_timeout=busy_timeout)


def _create(path: Path, scripts: Path | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        migrate.create(path, scripts=scripts)
    except PermissionError as error:
        raise DatabaseReadOnlyError(
            f"{path} cannot be made: {error}; this user needs the right to write its folder"
        ) from error
    except OSError as error:
        raise DatabaseError(f"{path} cannot be made: {error}") from error


def _open(path: Path, *, busy_timeout: float | None = None) -> JobStore:
    database = Database(path, busy_timeout=busy_timeout)
    database.leave_wal()
    return JobStore(database)
