"""MultiBackendJobManager: the documented API of openEO's own manager, on a database."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from openeo import BatchJob, Connection

from openeo_jobs.arguments import check_backend, check_start_job, encode, locate, read_seconds
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.backends.wire import watch
from openeo_jobs.campaign import begin_or_go_on, check_files
from openeo_jobs.errors import UsageError
from openeo_jobs.jobs import Backend
from openeo_jobs.mirror import Mirror
from openeo_jobs.storage.store import open_store_for_run
from openeo_jobs.tracking import downloader, loop
from openeo_jobs.tracking.pool import Pool
from openeo_jobs.tracking.run import Run, Settings
from openeo_jobs.tracking.runner import describe_command, make_judge, running
from openeo_jobs.tracking.stopping import Stopper
from openeo_jobs.user_code import ManagersCode, StartJob, find_hooks

log = logging.getLogger("openeo_jobs")

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class RegisteredBackend:
    """A backend as it was registered: how to get its connection, and its cap."""

    get_connection: Callable[[], Connection]
    parallel_jobs: int


class MultiBackendJobManager:
    """Tracker for multiple jobs on multiple backends.

    A drop-in for `openeo.extra.job_management.MultiBackendJobManager` that keeps the truth in a SQLite
    database. Kill it at any moment and start the script again: it goes on where it was.

    Usage:

    ```python
    manager = MultiBackendJobManager()
    manager.add_backend("foo", connection=openeo.connect("http://foo.test"))
    manager.add_backend("bar", connection=openeo.connect("http://bar.test"))


    def start_job(row: pd.Series, connection: openeo.Connection, **kwargs) -> openeo.BatchJob:
        year = row["year"]
        cube = connection.load_collection(..., temporal_extent=[f"{year}-01-01", f"{year + 1}-01-01"])
        ...
        return cube.create_job(...)


    manager.run_jobs(df=jobs_df, start_job=start_job, output_file="jobs.csv")
    ```

    All durations are seconds; fractions are fine.

    - `poll_sleep`: how long to sleep between two rounds.
    - `root_dir`: where the folders of the batch jobs go (`job_<id>`).
    - `download_results`: whether results are downloaded once a job has finished.
    - `cancel_running_job_after`: cancel a job that has run for longer; None: never.
    - `tag_titles`: append a tag to the title of every batch job, by which it is found again after a lost
      answer. Without it, a row whose create request got no clear answer waits for a person.
    - `grace`: how long listings of backends may lag.
    - `lost_after`: how long a batch job has to be unknown to its backend before its row is `lost`.
    - `lease`: how long a runner that is not heard of counts as alive, where it cannot be proved dead.
    """

    def __init__(
        self,
        poll_sleep: float = 60,
        root_dir: str | Path | None = ".",
        *,
        download_results: bool = True,
        cancel_running_job_after: float | None = None,
        tag_titles: bool = True,
        grace: float = 120,
        lost_after: float = 1800,
        lease: float = 120,
    ) -> None:
        self.backends: dict[str, RegisteredBackend] = {}
        self.poll_sleep = poll_sleep
        read_seconds("poll_sleep", poll_sleep)
        self._root_dir = Path(root_dir or ".")
        self._connections: dict[str, Connection] = {}
        self._download_results = download_results
        self._cancel_running_job_after = (
            None
            if cancel_running_job_after is None
            else read_seconds("cancel_running_job_after", cancel_running_job_after)
        )
        self._tag_titles = tag_titles
        self._grace = read_seconds("grace", grace)
        self._lost_after = read_seconds("lost_after", lost_after)
        self._lease = read_seconds("lease", lease)
        self._run: Run | None = None
        self._code: ManagersCode | None = None

    def add_backend(
        self, name: str, connection: Connection | Callable[[], Connection], parallel_jobs: int = 2
    ) -> None:
        """Register a backend under a *name*; the same name again replaces it.

        *connection* is a Connection, or a callable that makes one: it is called again when a login has died.
        *parallel_jobs* is the highest number of jobs that are under way there at a time.
        """
        check_backend(name, connection, parallel_jobs)
        get = (lambda: connection) if isinstance(connection, Connection) else connection
        self.backends[name] = RegisteredBackend(get_connection=get, parallel_jobs=parallel_jobs)
        self._connections.pop(name, None)

    def run_jobs(
        self,
        df: pd.DataFrame | None = None,
        start_job: StartJob | None = None,
        job_db: str | Path | None = None,
        *,
        output_file: str | Path | None = None,
    ) -> dict[str, int]:
        """Run the jobs of a dataframe, and track them until each has ended; return counters of what was done.

        *df* has one row per job. The same call again, after a crash or a Ctrl-C, goes on: *df* then has to
        hold the same rows, or may be left out.

        *start_job* is called for every row, with keywords: `row` (a `pandas.Series`: the user's cells as
        Python's own scalars, and the tracked columns), `connection` (the `Connection` to the backend that
        the row goes to), `connection_provider` (a getter of connections by name) and `provider` (the name of
        that backend). It returns a `BatchJob`: just created, already started, or older and reused; or None,
        to skip the row. If it raises, the row is `start_failed`, and the others go on.

        *output_file* (or *job_db*, the same) is a path that ends in `.csv`: the truth is then in a SQLite
        database beside it, and the CSV is its mirror. Or it ends in `.sqlite` or `.db`: no CSV is written.

        Raises `UsageError` for a call that cannot be carried out, `DatabaseError` for a database that cannot
        be used, before anything is changed; `KeyboardInterrupt` after a Ctrl-C.
        """
        if not self.backends:
            raise UsageError('run_jobs: no backends; first: manager.add_backend("name", connection=...)')
        start_job = check_start_job(start_job)
        location, table = locate(job_db, output_file), encode(df)
        check_files(location, table)
        judge = make_judge(now=_now, lease=self._lease)
        with (
            open_store_for_run(location.database, is_dead=judge) as store,
            running(store, is_dead=judge, now=_now, lease=self._lease) as runner_id,
        ):
            mirror = Mirror(store, location.mirror) if location.mirror is not None else None
            if mirror is not None:
                mirror.check()
            campaign = begin_or_go_on(store, table, make_uid=lambda: _random_text(12), at=_now())
            self._code = ManagersCode(
                self,
                start_job=start_job,
                campaign=campaign,
                mirror=mirror,
                hooks=find_hooks(self, MultiBackendJobManager),
            )
            run = self._run = Run(
                store=store,
                campaign=campaign,
                runner_id=runner_id,
                settings=self._settings(),
                caps={name: backend.parallel_jobs for name, backend in self.backends.items()},
                user_code=self._code,
                pool=Pool(),
                now=_now,
                make_token=lambda: _random_text(5),
            )
            try:
                return self._carry_out(run)
            finally:
                run.pool.close()
                self._run = self._code = None

    def on_job_done(self, job: BatchJob, row: Any) -> None:
        """Handle a job that has finished; override it to do something else.

        Called at least once, with the batch job and its row as it is now. By default the results are
        downloaded to `get_job_dir`. An override takes the download over; when `super().on_job_done(job, row)`
        returns, the files are on disk.
        """
        if not self._download_results:
            return
        folder, metadata_path = self.get_job_dir(job.job_id), self.get_job_metadata_path(job.job_id)
        gateway = OpenEOGateway("", lambda: job.connection)
        assets = downloader.fetch_results(gateway, job.job_id, Path(folder), Path(metadata_path))
        hooked = self._code.hooked_job if self._code is not None else None
        if self._run is not None and hooked is not None and hooked.batch_job_id == job.job_id:
            self._run.store.endings.record_downloaded(hooked, assets, at=_now())

    def on_job_error(self, job: BatchJob, row: Any) -> None:
        """Handle a job that stopped with an error; override it to do something else.

        By default the error logs are written to `get_error_log_path`, if there are any.
        """
        entries = OpenEOGateway("", lambda: job.connection).get_error_logs(job.job_id)
        downloader.write_error_logs(Path(self.get_error_log_path(job.job_id)), entries)

    def on_job_cancel(self, job: BatchJob, row: Any) -> None:
        """Handle a job that was canceled; by default nothing is done."""

    def get_job_dir(self, job_id: str) -> Path:
        """Return the folder for the results, metadata and error logs of a batch job."""
        return self._root_dir / f"job_{job_id}"

    def get_error_log_path(self, job_id: str) -> Path:
        """Return the file for the error logs of a batch job."""
        return self.get_job_dir(job_id) / f"job_{job_id}_errors.json"

    def get_job_metadata_path(self, job_id: str) -> Path:
        """Return the file for the metadata of a batch job."""
        return self.get_job_dir(job_id) / f"job_{job_id}.json"

    def ensure_job_dir_exists(self, job_id: str) -> Path:
        """Create the folder of a batch job if it does not exist yet, and return it."""
        folder = self.get_job_dir(job_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _carry_out(self, run: Run) -> dict[str, int]:
        run.store.backends.register(Backend(name=name, parallel_jobs=cap) for name, cap in run.caps.items())
        with Stopper(run.stop, patience_seconds=loop.FAREWELL_SECONDS) as stopper:
            loop.keep_going(run, lambda: loop.do_one_round(run))
            stopper.spare()
            loop.say_farewell(run, patience_seconds=stopper.seconds_left())
        loop.tell_left_behind(run)
        if stopper.signal is not None:
            log.warning("stopped; batch jobs go on at their backends. Go on with: %s", describe_command())
        stopper.raise_signal()
        return dict(run.stats)

    def _get_connection(self, backend_name: str, resilient: bool = True) -> Connection:
        """Return the connection of a backend, watched; it is made on first use."""
        if backend_name not in self.backends:
            raise UsageError(
                f"no backend is registered as {backend_name!r}; there are: {', '.join(self.backends)}"
            )
        if backend_name not in self._connections:
            connection = self.backends[backend_name].get_connection()
            if not isinstance(connection, Connection):
                raise UsageError(
                    f"the callable of backend {backend_name!r} returned {type(connection).__name__}, "
                    "not an openeo.Connection"
                )
            self._connections[backend_name] = connection
        watch(self._connections[backend_name], backend_name)
        return self._connections[backend_name]

    def _settings(self) -> Settings:
        return Settings(
            poll_sleep=read_seconds("poll_sleep", self.poll_sleep),
            grace=self._grace,
            lost_after=self._lost_after,
            lease=self._lease,
            cancel_running_after=self._cancel_running_job_after,
            tags_titles=self._tag_titles,
            downloads_results=self._download_results,
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
