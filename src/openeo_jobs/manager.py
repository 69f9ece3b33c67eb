"""MultiBackendJobManager: the documented API of openEO's own manager, on a database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from openeo import BatchJob, Connection

from openeo_jobs.arguments import check_backend, read_count, read_filter, read_seconds
from openeo_jobs.assets import Offer
from openeo_jobs.background import JobThread
from openeo_jobs.campaign.beginning import Given
from openeo_jobs.connecting import RegisteredBackend, get_connection
from openeo_jobs.defaults import fetch_results, name_folder, write_error_logs
from openeo_jobs.layout import read_layout
from openeo_jobs.policy.attempts import read_max_attempts
from openeo_jobs.policy.fuse import read_limit
from openeo_jobs.running import Call, begin, carry_out
from openeo_jobs.status import JobStatus
from openeo_jobs.subclassing import COLUMN_REQUIREMENTS, ColumnRequirements, check_overrides
from openeo_jobs.tracking import loop
from openeo_jobs.tracking.run import Run
from openeo_jobs.user_code import Hook, ManagersCode, StartJob, find_hooks

log = logging.getLogger("openeo_jobs")

_UNSET: Any = object()


class MultiBackendJobManager:
    """Tracker for multiple jobs on multiple backends.

    A drop-in for `openeo.extra.job_management.MultiBackendJobManager` that keeps the truth in a SQLite
    database. Kill it at any moment and start the script again: it goes on where it was.

    Usage:

    ```python
    manager = MultiBackendJobManager()
    manager.add_backend("foo", connection=openeo.connect("http://foo.test"))


    def start_job(row: pd.Series, connection: openeo.Connection, **kwargs) -> openeo.BatchJob:
        return connection.load_collection(..., temporal_extent=row["year"]).create_job(...)


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
    - `lease`: how long this run counts as alive for others that do not hear of it and cannot prove it dead.

    What is downloaded, and how:

    - `output_path`: the folder of each row's results, below `root_dir`: a template over the columns
      (`"{tile}/{year}"`; `id` and `backend_name` may be used, too), or a callable that gets the row. A
      `get_job_dir` that is overridden wins.
    - `assets`: which files: a pattern for their names (`"*.tif"`), or a callable that gets an
      `openeo_jobs.assets.Offer` (`name`, `filename`, `media_type`, `size` in bytes) and says whether.
    - `max_downloads`: how many files are on their way at a time; `max_downloads_per_backend`: of one backend.

    And three numbers:

    - `max_failures_in_a_row`: so many attempts that fail alike, with no success in between, on one backend or
      in `start_job`, and nothing new is created there by this run; None: never.
    - `max_attempts`: how many attempts a row gets by itself, by what they fail of: `{"transient": 3,
      "remote error": 1, "permanent": 1}` is the default, classes left out keep theirs, and a single number
      stands for the first two. A remote error is a batch job that failed on its backend.
    - `hook_workers`: how many hooks (`on_job_done`, `on_job_error`, `on_job_cancel`) may run at a time, in
      threads of their own beside `start_job`.

    Subclasses may override the hooks, the path helpers and `_job_update_loop`; one that overrides a phase of
    openEO's own manager that does not exist here is told so when it is made.
    """

    _column_requirements: ColumnRequirements = COLUMN_REQUIREMENTS

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
        max_failures_in_a_row: int | None = 10,
        max_attempts: int | Mapping[str, int] | None = None,
        output_path: str | Callable[[Any], str | Path] | None = None,
        assets: str | Callable[[Offer], bool] | None = None,
        max_downloads: int = 8,
        max_downloads_per_backend: int = 4,
        hook_workers: int = 1,
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
        self._max_failures_in_a_row = read_limit(max_failures_in_a_row)
        self._max_attempts = read_max_attempts(max_attempts)
        self._layout = read_layout(output_path)
        self._wants_file = read_filter(assets)
        self._max_downloads = read_count("max_downloads", max_downloads)
        self._max_downloads_per_backend = read_count("max_downloads_per_backend", max_downloads_per_backend)
        self._hook_workers = read_count("hook_workers", hook_workers)
        self._run: Run | None = None
        self._code: ManagersCode | None = None
        self._background: JobThread | None = None
        check_overrides(self)

    def add_backend(
        self, name: str, connection: Connection | Callable[[], Connection], parallel_jobs: int = 2
    ) -> None:
        """Register a backend under a *name*; the same name again replaces it.

        *connection* is a Connection, or a callable that makes one. When its login has died, that is renewed
        with client credentials of the environment (`OPENEO_AUTH_CLIENT_ID`, `OPENEO_AUTH_CLIENT_SECRET`),
        else with the refresh token that openEO's client has stored, else by calling the callable again, in a
        thread of its own, so that a login may take minutes. If nothing helps, the backend pauses.
        *parallel_jobs* is the highest number of jobs that are under way there at a time.
        """
        check_backend(name, connection, parallel_jobs)
        is_made = isinstance(connection, Connection)
        get = (lambda: connection) if isinstance(connection, Connection) else connection
        self.backends[name] = RegisteredBackend(get, parallel_jobs, makes_anew=not is_made)
        self._connections.pop(name, None)

    def run_jobs(
        self,
        df: pd.DataFrame | None = None,
        start_job: StartJob | None = None,
        job_db: Any = None,
        *,
        output_file: str | Path | None = None,
        on_exists: str = "error",
        key: Sequence[str] | None = None,
    ) -> dict[str, int]:
        """Run the jobs of a dataframe, and track them until each has ended; return counters of what was done.

        *df* has one row per job. The same call again, after a crash or a Ctrl-C, goes on; *df* may be left
        out then. *on_exists* says what becomes of a *df* with other rows than the campaign has: `"error"`
        raises, `"append"` adds rows and columns that are new, `"update"` also takes over cells of rows that
        are neither under way nor finished, `"skip"` ignores it. Rows are the same if their cells in the
        columns *key* are; without it, in all columns.

        *start_job* is called for every row, with keywords: `row` (a `pandas.Series`: the user's cells as
        Python's own scalars, and the tracked columns), `connection` (the `Connection` to the backend that
        the row goes to), `connection_provider` (a getter of connections by name), `provider` (the name of
        that backend) and, if it has a parameter of that name, `attempt` (from 1). It returns a `BatchJob`:
        new, already started, or reused; or None, to skip the row. If it raises, only its row fails.

        *output_file* (or *job_db*, the same) is a path that ends in `.csv` or `.parquet`: the truth is then
        in a SQLite database beside it, and the file is its mirror. Or it ends in `.sqlite` or `.db`: no
        mirror is written. Or it is a job database: a `SqlJobDatabase`, or one of openEO's, which goes on
        showing the campaign (that of one that keeps no CSV or Parquet file is `jobs.sqlite` in `root_dir`).

        Raises `UsageError` for a call that cannot be carried out, `DatabaseError` for a database that cannot
        be used, before anything is changed; `KeyboardInterrupt` after a Ctrl-C.
        """
        given = Given(df=df, on_exists=on_exists, key=key)
        call = Call(start_job=start_job, job_db=job_db, output_file=output_file, given=given)
        with begin(self, call) as run:
            return carry_out(self, run, call)

    def start_job_thread(self, start_job: StartJob, job_db: Any) -> JobThread:
        """Go on with a campaign in a thread of its own, and return its handle once the run has begun.

        *start_job* and *job_db* are those of `run_jobs`. The handle tells whether the run is `alive`, its
        `exception` and its `stats`; `wait()` waits for its end, `stop()` ends it. While a run of this manager
        is alive in the background, its handle is returned and nothing else is begun.
        """
        if self._background is not None and self._background.alive:
            return self._background
        call = Call(start_job=start_job, job_db=job_db)

        def work(has_begun: Callable[[Run], None]) -> dict[str, int]:
            with begin(self, call) as run:
                has_begun(run)
                return carry_out(self, run, call)

        self._background = JobThread(work)
        self._background.start()
        return self._background

    def stop_job_thread(self, timeout_seconds: float | None = _UNSET) -> None:
        """Let nothing new begin in the background, and wait at most *timeout_seconds* for the end.

        Left out, it is twice `poll_sleep`; None waits without end. A callback that is under way ends by
        itself, later if need be, and what it has created is stored.
        """
        if self._background is None:
            log.error("no job thread to stop")
            return
        patience = 2 * self.poll_sleep if timeout_seconds is _UNSET else timeout_seconds
        if not self._background.stop(patience):
            log.warning("the job thread did not end within %s seconds; nothing new begins in it", patience)

    def on_job_done(self, job: BatchJob, row: Any) -> None:
        """Handle a job that has finished; override it to do something else.

        Called at least once, with the batch job and its row as it is now. By default the results are
        downloaded to `get_job_dir`. An override takes the download over; when `super().on_job_done(job, row)`
        returns, the files are on disk.
        """
        fetch_results(self, job)

    def on_job_error(self, job: BatchJob, row: Any) -> None:
        """Handle a job that stopped with an error; override it to do something else.

        By default the error logs are written to `get_error_log_path`, if there are any.
        """
        write_error_logs(self, job)

    def on_job_cancel(self, job: BatchJob, row: Any) -> None:
        """Handle a job that was canceled; by default nothing is done."""

    def get_job_dir(self, job_id: str) -> Path:
        """Return the folder for the results, metadata and error logs of a batch job."""
        return self._root_dir / name_folder(self, job_id)

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

    def _job_update_loop(self, job_db: Any, start_job: StartJob | None, stats: Any = None) -> None:
        """Do one round; a run does one after the other, and code of its own may do a single one."""
        if self._run is not None:
            loop.do_one_round(self._run)
            return
        with begin(self, Call(start_job=start_job, job_db=job_db)) as run:
            loop.do_single_round(run)
            for name, number in run.stats.items() if stats is not None else ():
                stats[name] = stats.get(name, 0) + number

    def _find_hooks(self) -> dict[JobStatus, Hook]:
        return find_hooks(self, MultiBackendJobManager)

    @classmethod
    def _normalize_df(cls, df: pd.DataFrame) -> pd.DataFrame:
        """Return *df* with the documented columns that it lacks."""
        return cls._column_requirements.normalize_df(df)

    @property
    def _thread(self) -> threading.Thread | None:
        """The thread of the last run in the background."""
        return self._background.thread if self._background is not None else None

    @property
    def _stop_thread(self) -> bool:
        """Whether the run is to end; True may be assigned."""
        return self._run is not None and self._run.stopping.is_set()

    @_stop_thread.setter
    def _stop_thread(self, stop: bool) -> None:
        if stop and self._run is not None:
            self._run.stop()

    def _get_connection(self, backend_name: str, resilient: bool = True) -> Connection:
        """Return the connection of a backend, watched; it is made on first use."""
        return get_connection(self, backend_name)
