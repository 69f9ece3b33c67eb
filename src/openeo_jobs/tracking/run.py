"""What one run of a campaign works with: the store, the gateways, the user's code, the clock."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.backends.wire import Watcher
from openeo_jobs.jobs import Campaign, ErrorClass, Job
from openeo_jobs.policy.failures import classify, pause_length, pauses_backend
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.pool import Pool

log = logging.getLogger("openeo_jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of the manager that steer a run."""

    poll_sleep: timedelta
    grace: timedelta
    lost_after: timedelta
    lease: timedelta
    cancel_running_after: timedelta | None = None
    tags_titles: bool = True
    downloads_results: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The batch job that `start_job` returned, and the backend that it is on."""

    backend_name: str
    batch_job_id: str


class UserCode(Protocol):
    """What the manager does for a run: user code, the Connections it uses, and the files it names.

    Everything here is called in the thread that runs the rounds.
    """

    def connect(self, backend_name: str) -> Gateway:
        """Get the connection of a backend, watch it, and return a gateway over it."""
        ...

    def disconnect(self, backend_name: str) -> None:
        """Forget the connection of a backend, so that it is made anew."""
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


@dataclass(slots=True, kw_only=True)
class Run:
    """One call of `run_jobs`. What is true is in the store; here is only what it takes to act on it."""

    store: JobStore
    campaign: Campaign
    runner_id: int
    settings: Settings
    caps: Mapping[str, int]
    user_code: UserCode
    pool: Pool
    now: Callable[[], datetime]
    make_token: Callable[[], str]
    gateways: dict[str, Gateway] = field(default_factory=dict)
    stats: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    logged: set[tuple[object, ...]] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    """The backends that did what they were asked for, in this round."""
    looked_at: set[str] = field(default_factory=set)
    """The backends of which this run knows whether rows have ended there before it."""
    suspects: dict[str, Exception] = field(default_factory=dict)
    """The backends that seem not to be there, in this round, and why."""

    def stop(self) -> None:
        """Let nothing new begin; safe in a signal handler."""
        self.stopping.set()
        self.pool.wake()

    def ask(self, kind: str, job: Job, function: Callable[[Gateway, str], object]) -> bool:
        """Let *function* ask the backend of *job* about its batch job, in a thread."""
        name, batch_job_id = str(job.backend_name), str(job.batch_job_id)
        gateway = self.gateways[name]
        return self.pool.submit(
            kind,
            lane=f"{kind} {name}" if kind == "download" else name,
            key=job.number,
            subject=job,
            function=lambda: function(gateway, batch_job_id),
        )

    def pause(
        self, backend_name: str, error: Exception, *, at_least: timedelta = timedelta(0)
    ) -> datetime | None:
        """Let a backend rest if *error* is about the backend as a whole; return until when."""
        if not pauses_backend(error):
            return None
        kind, at = classify(error), self.now()
        length = max(at_least, pause_length(kind, self.settings.poll_sleep))
        is_new = self.store.backends.pause(
            backend_name, kind=kind, reason=str(error), at=at, retry_at=at + length
        )
        self.stats["backend paused"] += is_new
        self.log_once(
            ("pause", backend_name, kind),
            "%s paused: %s; its rows wait, none fails; again in %.3g s",
            *(backend_name, error, length.total_seconds()),
        )
        return at + length

    def suspect(self, backend_name: str, error: Exception) -> None:
        """Pause a backend for *error*, but one that seems not to be there only once the round is judged."""
        if classify(error) is not ErrorClass.TRANSIENT:
            self.pause(backend_name, error)
        elif pauses_backend(error):
            self.suspects.setdefault(backend_name, error)

    def judge_suspects(self) -> None:
        """Pause the suspects that did nothing else in this round: one row's trouble is not the backend's."""
        for name, error in self.suspects.items():
            if name not in self.answered:
                self.pause(name, error)
        self.suspects.clear()

    def note_success(self, backend_name: str) -> None:
        """Remember that a backend did what it was asked for: its next pause is news again."""
        self.answered.add(backend_name)
        self.logged = {key for key in self.logged if key[:2] != ("pause", backend_name)}

    def log_once(self, key: tuple[object, ...], message: str, *args: object) -> None:
        """Log a warning the first time that *key* comes by."""
        if key not in self.logged:
            self.logged.add(key)
            log.warning(message, *args)
