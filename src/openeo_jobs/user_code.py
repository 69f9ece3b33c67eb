"""The user's code, as a run calls it: connections, `start_job`, hooks, the files that a manager names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openeo import BatchJob, Connection

from openeo_jobs.assets import Offer
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.backends.wire import Watcher, watching
from openeo_jobs.campaign.mirrors import Mirror
from openeo_jobs.connecting import Logins
from openeo_jobs.errors import CallbackError
from openeo_jobs.frames import fits, to_series
from openeo_jobs.jobs import Campaign, Job
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking.user_code import Returned

if TYPE_CHECKING:
    from openeo_jobs.manager import MultiBackendJobManager

StartJob = Callable[..., BatchJob | None]
Hook = Callable[[BatchJob, Any], object]

_HOOK_NAMES = {
    JobStatus.FINISHED: "on_job_done",
    JobStatus.ERROR: "on_job_error",
    JobStatus.CANCELED: "on_job_cancel",
}


def find_hooks(manager: MultiBackendJobManager, original: type) -> dict[JobStatus, Hook]:
    """Return the hooks that a subclass, or an instance, has put in the place of those of *original*."""
    return {
        status: getattr(manager, name)
        for status, name in _HOOK_NAMES.items()
        if getattr(getattr(manager, name), "__func__", None) is not getattr(original, name)
    }


def asks_for_attempt(start_job: StartJob) -> bool:
    """Say whether *start_job* has a parameter called `attempt`; `**kwargs` alone ask for nothing."""
    try:
        parameter = inspect.signature(start_job).parameters.get("attempt")
    except (TypeError, ValueError):  # a callable without a signature
        return False
    return parameter is not None and parameter.kind in (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )


class ManagersCode:
    """What a manager, its subclass and its callback do for a run: its `UserCode`."""

    def __init__(
        self,
        manager: MultiBackendJobManager,
        *,
        start_job: StartJob,
        campaign: Campaign,
        load_campaign: Callable[[], Campaign | None],
        find_job: Callable[[str], Job | None],
        mirror: Mirror | None,
        hooks: dict[JobStatus, Hook],
    ) -> None:
        self._manager = manager
        self._start_job = start_job
        self._wants_attempt = asks_for_attempt(start_job)
        self._campaign = campaign
        self._load_campaign = load_campaign
        self._find_job = find_job
        self._mirror = mirror
        self._hooks = hooks
        self._logins = Logins(manager)
        self.hooked_jobs: dict[str, Job] = {}
        """The jobs whose hooks are being called, by the ids of their batch jobs."""
        self._asked_for: Job | None = None
        """The job whose folder or files are being asked for."""

    def connect(self, backend_name: str) -> Gateway:
        """Get the connection of a backend, watched, and return a gateway over it."""
        return self._make_gateway(backend_name, self._manager._get_connection(backend_name))

    def reconnect(self, backend_name: str) -> Gateway:
        """Log in anew, and return a gateway over the connection."""
        return self._make_gateway(backend_name, self._logins.renew(backend_name))

    def has_new_login(self, backend_name: str) -> bool:
        """Say whether openEO's client has stored a login since this one was last tried to renew."""
        return self._logins.has_new(backend_name)

    def find_remedy(self, backend_name: str) -> str | None:
        """Return the command that mends a dead login; None where only the script can."""
        return self._logins.find_remedy(backend_name)

    def start_job(self, job: Job, backend_name: str, watcher: Watcher) -> Returned | None:
        """Call `start_job` with exactly the documented keywords, and with `attempt` if it asks for that."""
        connection = self._manager._get_connection(backend_name)
        row = self._make_row(job)
        extra = {"attempt": job.attempt.number} if self._wants_attempt and job.attempt is not None else {}
        with watching(watcher):
            batch_job = self._start_job(
                row=row,
                connection_provider=self._manager._get_connection,
                connection=connection,
                provider=backend_name,
                **extra,
            )
        return None if batch_job is None else self._describe(batch_job, backend_name)

    def has_hook(self, status: JobStatus) -> bool:
        """Say whether the hook for jobs that end with *status* is overridden."""
        return status in self._hooks

    def call_hook(self, job: Job) -> None:
        """Call the hook with the batch job and the row as it is now."""
        connection, batch_job_id = self._manager._get_connection(str(job.backend_name)), str(job.batch_job_id)
        self.hooked_jobs[batch_job_id] = job
        try:
            self._hooks[job.status](connection.job(batch_job_id), self._make_row(job))
        finally:
            self.hooked_jobs.pop(batch_job_id, None)  # another row may be at the same batch job

    def wants_file(self, offer: Offer) -> bool:
        """Ask the filter of the manager."""
        return bool(self._manager._wants_file(offer))

    def job_folder(self, job: Job) -> Path:
        """Return the folder that `get_job_dir` names."""
        return self._ask_path(self._manager.get_job_dir, job)

    def metadata_path(self, job: Job) -> Path:
        """Return the file that `get_job_metadata_path` names."""
        return self._ask_path(self._manager.get_job_metadata_path, job)

    def error_log_path(self, job: Job) -> Path:
        """Return the file that `get_error_log_path` names."""
        return self._ask_path(self._manager.get_error_log_path, job)

    def find_row(self, batch_job_id: str) -> Any:
        """Return the row of a batch job, as it is now; None where it is no row's."""
        asked_for = self._asked_for
        is_it = asked_for is not None and asked_for.batch_job_id == batch_job_id
        job = asked_for if is_it else self.hooked_jobs.get(batch_job_id) or self._find_job(batch_job_id)
        return None if job is None else self._make_row(job)

    def write_mirror(self) -> bool:
        """Bring the CSV up to date, where there is one."""
        return self._mirror is not None and self._mirror.write()

    def _ask_path(self, method: Callable[[str], str | Path], job: Job) -> Path:
        self._asked_for = job
        try:
            return Path(method(str(job.batch_job_id)))
        finally:
            self._asked_for = None

    def _make_row(self, job: Job) -> Any:
        """Make the row that callbacks get; somebody may have added columns since the run began."""
        if not fits(self._campaign, [job]):
            self._campaign = self._load_campaign() or self._campaign
        return to_series(job, self._campaign)

    def _make_gateway(self, backend_name: str, connection: Connection) -> Gateway:
        connections = self._manager._connections  # one that users drop there is made anew when it is needed
        return OpenEOGateway(backend_name, lambda: connections.get(backend_name, connection))

    def _describe(self, batch_job: Any, claimed_name: str) -> Returned:
        batch_job_id = getattr(batch_job, "job_id", None)
        connection = getattr(batch_job, "connection", None)
        if not isinstance(batch_job_id, str) or not batch_job_id:
            raise CallbackError(
                f"start_job returned {type(batch_job).__name__}; return the batch job that create_job() "
                "gives, or None to skip the row"
            )
        name = self._find_backend(connection, claimed_name)
        if name is None:
            raise CallbackError(
                f"start_job returned batch job {batch_job_id} of a connection that is not registered; "
                "use the argument connection, or connection_provider(name)"
            )
        return Returned(backend_name=name, batch_job_id=batch_job_id)

    def _find_backend(self, connection: Connection | None, claimed_name: str) -> str | None:
        """Return the name of the backend of *connection*: the same object, else the same root.

        Among several names of one, it is the one that the row was claimed for.
        """
        connections = self._manager._connections.copy()  # a hook may drop some meanwhile
        known = {name: connections[name] for name in sorted(connections, key=lambda one: one != claimed_name)}
        same = [name for name, one in known.items() if one is connection]
        url = getattr(connection, "root_url", None)
        return next(iter(same + [name for name, one in known.items() if one.root_url == url]), None)
