"""What a run needs of the user's code, which the manager calls for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.backends.wire import Watcher
from openeo_jobs.jobs import Job
from openeo_jobs.status import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The batch job that `start_job` returned, and the backend that it is on."""

    backend_name: str
    batch_job_id: str


class UserCode(Protocol):
    """What the manager does for a run: user code, the Connections it uses, and the files it names.

    Everything here is called in the thread that runs the rounds, but for `connect`, `reconnect` and
    `call_hook`.
    """

    def connect(self, backend_name: str) -> Gateway:
        """Get the connection of a backend, watch it, and return a gateway over it; may take minutes."""
        ...

    def reconnect(self, backend_name: str) -> Gateway:
        """Do the same with a new login; may take minutes."""
        ...

    def has_new_login(self, backend_name: str) -> bool:
        """Say whether a login was stored, by whatever process, since this one was last tried to renew."""
        ...

    def describe_remedy(self, backend_name: str) -> str:
        """Say what a person can do about a dead login."""
        ...

    def start_job(self, job: Job, backend_name: str, watcher: Watcher) -> Returned | None:
        """Call `start_job` for *job*."""
        ...

    def has_hook(self, status: JobStatus) -> bool:
        """Say whether the hook for jobs that end with *status* is the user's."""
        ...

    def call_hook(self, job: Job) -> None:
        """Call the hook for the end of *job*."""
        ...

    def job_folder(self, batch_job_id: str) -> Path:
        """Return the folder of a batch job's results."""
        ...

    def metadata_path(self, batch_job_id: str) -> Path:
        """Return the file for a batch job's metadata."""
        ...

    def error_log_path(self, batch_job_id: str) -> Path:
        """Return the file for a batch job's error logs."""
        ...

    def write_mirror(self) -> bool:
        """Bring the CSV up to date; return whether it was written."""
        ...
