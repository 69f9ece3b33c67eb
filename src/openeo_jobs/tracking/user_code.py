"""What a run needs of the user's code, which the manager calls for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openeo_jobs.assets import Offer
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

    def find_remedy(self, backend_name: str) -> str | None:
        """Return the command that mends a dead login; None where only the script can."""
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

    def wants_file(self, offer: Offer) -> bool:
        """Say whether a file of the results is to be downloaded."""
        ...

    def job_folder(self, job: Job) -> Path:
        """Return the folder of a job's results."""
        ...

    def metadata_path(self, job: Job) -> Path:
        """Return the file for the metadata of a job's batch job."""
        ...

    def error_log_path(self, job: Job) -> Path:
        """Return the file for the error logs of a job's batch job."""
        ...

    def write_mirror(self) -> bool:
        """Bring the CSV up to date; return whether it was written."""
        ...
