"""What one run of a campaign works with: the store, the gateways, the user's code, the clock."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendError, BackendRefusedError
from openeo_jobs.jobs import Backend, Campaign, ErrorClass, Job
from openeo_jobs.policy.attempts import MAX_ATTEMPTS
from openeo_jobs.policy.failures import classify, pauses_backend, stops_polling
from openeo_jobs.policy.returning import FOREVER, Gap
from openeo_jobs.policy.waiting import pause_length
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.pool import Pool
from openeo_jobs.tracking.presence import Presence
from openeo_jobs.tracking.transfers import Transfers
from openeo_jobs.tracking.user_code import UserCode

log = logging.getLogger("openeo_jobs")


def say_length(length: timedelta) -> str:
    """Say how long something takes, for a line of the log."""
    seconds = length.total_seconds()
    if seconds < 600:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of the manager that steer a run."""

    poll_sleep: timedelta
    grace: timedelta
    lost_after: timedelta
    lease: timedelta
    patience: timedelta = timedelta(seconds=3)
    """How long a round waits for answers before it goes on without them."""
    max_failures_in_a_row: int | None = 10
    max_attempts: Mapping[ErrorClass, int] = field(default_factory=lambda: MAX_ATTEMPTS)
    cancel_running_after: timedelta | None = None
    tags_titles: bool = True
    downloads_results: bool = True
    max_downloads: int = 8
    max_downloads_per_backend: int = 4
    hook_workers: int = 1


@dataclass(slots=True, kw_only=True)
class Run:
    """One call of `run_jobs`. What is true is in the store; here is only what it takes to act on it."""

    store: JobStore
    campaign: Campaign
    presence: Presence
    settings: Settings
    caps: Mapping[str, int]
    user_code: UserCode
    pool: Pool
    make_token: Callable[[], str]
    take_chance: Callable[[], float]
    """Returns a random number from 0 to 1, by which waiting differs from time to time."""
    transfers: Transfers = field(init=False)
    gateways: dict[str, Gateway] = field(default_factory=dict)
    stats: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    logged: set[tuple[object, ...]] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    """The backends that did what they were asked for, since they were last judged."""
    listed: set[str] = field(default_factory=set)
    """The backends whose batch jobs this run has seen: nothing is created on others."""
    listing_failures: Counter[str] = field(default_factory=Counter)
    looked_at: dict[str, datetime] = field(default_factory=dict)
    """When the latest listing of each backend was asked for that has come."""
    incomplete_since: dict[str, datetime] = field(default_factory=dict)
    """Since when backends that answer have given no complete listing."""
    suspects: dict[str, Exception] = field(default_factory=dict)
    """The backends that seem not to be there, since they were last judged, and why."""
    silent: set[str] = field(default_factory=set)
    """The lanes of the pool that were waited for in vain: nobody waits again until something is answered."""
    heard: set[str] = field(default_factory=set)
    """The lanes of the pool in which something was answered in this round."""
    unheard: set[str] = field(default_factory=set)
    """The backends that have not answered since this run came back from a gap."""
    dead_logins: set[str] = field(default_factory=set)
    """The backends that are asked for nothing before they are logged in to anew."""
    renewed: set[str] = field(default_factory=set)
    """The backends that were logged in to anew, and have not done what they were asked for since."""
    erring: set[str] = field(default_factory=set)
    """The backends that answered 5xx in this round."""
    rounds_of_errors: Counter[str] = field(default_factory=Counter)
    """For how many rounds backends answered 5xx, and nothing else."""
    told_running: dict[int, datetime] = field(default_factory=dict)
    """When backends last said that rows run, by their numbers."""
    survived: set[int] = field(default_factory=set)
    """The attempts of which nothing could be stored after `start_job`: they have not ended this process."""
    has_checked_files: bool = False
    """Whether results on disk were looked for since rows of another run may last have come here."""
    gap: Gap | None = None
    """The gap from which this run has come back, until that is told."""
    news_mark: int = 0
    """The change of status that was the latest one when the last round ended."""

    def __post_init__(self) -> None:
        """Begin with nothing on its way."""
        self.transfers = Transfers(
            limit=self.settings.max_downloads, per_backend=self.settings.max_downloads_per_backend
        )

    @property
    def runner_id(self) -> int:
        """The runner that this run is, in the database."""
        return self.presence.runner_id

    def now(self) -> datetime:
        """Return the time."""
        return self.presence.clock.now()

    def notice_gap(self) -> None:
        """Notice that this process stood still: then no backend has been heard of since."""
        gap = self.presence.clock.take_gap()
        if gap is not None:
            self.gap = self.gap or gap
            self.unheard = set(self.caps)

    def counts_time(self, backend_name: str) -> bool:
        """Say whether the time that has passed tells something of the rows of a backend.

        It does not straight after a gap: the backend has to be asked once before.
        """
        self.notice_gap()
        return backend_name not in self.unheard

    def grace_on(self, backend_name: str) -> timedelta:
        """Return how long what a backend says may lag; straight after a gap nothing is long enough."""
        return self.settings.grace if self.counts_time(backend_name) else FOREVER

    def stop(self) -> None:
        """Let nothing new begin; safe in a signal handler."""
        self.stopping.set()
        self.pool.wake()

    def ask(self, kind: str, job: Job, function: Callable[[Gateway, str], object]) -> bool:
        """Let *function* ask the backend of *job* about its batch job, in a thread; return whether it will.

        It does not where the same is asked already, or while a new login is made.
        """
        name, batch_job_id = str(job.backend_name), str(job.batch_job_id)
        gateway = self.gateways.get(name)
        if gateway is None:
            return False
        return self.pool.submit(
            kind,
            lane=f"{kind} {name}" if kind == "results" else name,
            key=job.number,
            subject=job,
            function=lambda: function(gateway, batch_job_id),
        )

    def find_backend(self, name: str) -> Backend:
        """Return a backend as the account of this run finds it."""
        return self.store.backends.one(name, runner_id=self.runner_id)

    def pause(self, backend_name: str, error: Exception) -> datetime | None:
        """Let a backend rest if *error* is about the backend as a whole; return until when.

        What fails while it rests already belongs to the same failure.
        """
        if not pauses_backend(error):
            return None
        known, at = self.find_backend(backend_name), self.now()
        if classify(error) is ErrorClass.AUTH:
            return self._pause_login(known, error, at=at)
        return self._pause(known, error, at=at)

    def _pause_login(self, known: Backend, error: Exception, *, at: datetime) -> datetime:
        """Let a backend rest whose login is dead: until the next round, which renews it, if that is new."""
        name = known.name
        if name in self.dead_logins:
            return known.retry_at or at
        self.dead_logins.add(name)
        if name in self.gateways and name not in self.renewed:
            log.info("%s: the login is not valid any more, and is renewed: %s", name, error)
            retry_at, in_a_row = max(at, known.retry_at or at), max(1, known.failures_in_a_row)
            self._store_pause(known, error, at=at, retry_at=retry_at, in_a_row=in_a_row)
            return retry_at
        remedy = self.user_code.find_remedy(name)
        if remedy is None:
            reason = f"{error}; mend the login, and start the script again"
            return self._pause(known, BackendRefusedError(reason, http_status=401), at=at)
        return self._pause(known, error, at=at, remedy=remedy)

    def _pause(
        self, known: Backend, error: Exception, *, at: datetime, remedy: str | None = None
    ) -> datetime:
        rests_until = max(at, known.retry_at or at)
        in_a_row = max(1, known.failures_in_a_row + (rests_until <= at))
        retry_at = max(rests_until, at + self._pause_length(error, in_a_row))
        self._store_pause(known, error, at=at, retry_at=retry_at, in_a_row=in_a_row, remedy=remedy)
        self.log_once(
            ("pause", known.name, classify(error)),
            "%s paused: %s; its rows wait, none fails; again in %s%s",
            *(known.name, error, say_length(retry_at - at), f"; log in with: {remedy}" if remedy else ""),
        )
        return retry_at

    def _store_pause(
        self,
        known: Backend,
        error: Exception,
        *,
        at: datetime,
        retry_at: datetime,
        in_a_row: int,
        remedy: str | None = None,
    ) -> None:
        is_new = self.store.backends.pause(
            known.name,
            kind=classify(error),
            reason=str(error),
            remedy=remedy,
            at=at,
            retry_at=retry_at,
            is_polled=not stops_polling(error),
            failures_in_a_row=in_a_row,
            runner_id=self.runner_id,
        )
        self.stats["backend paused"] += is_new

    def suspect(self, backend_name: str, error: Exception) -> None:
        """Pause a backend for *error*, but one that seems not to be there only once the round is judged."""
        if isinstance(error, BackendError) and (error.http_status or 0) >= 500:
            self.erring.add(backend_name)
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

    def learn_cap(self, backend_name: str, error: Exception) -> None:
        """Learn from a create or start request that a limit refused how many jobs a backend takes."""
        if classify(error) is ErrorClass.LIMIT:
            cap = self.store.backends.learn_cap(backend_name, runner_id=self.runner_id, at=self.now())
            log.info("%s takes %d at a time for now", backend_name, cap)

    def note_success(self, backend_name: str) -> None:
        """Remember that a backend did what it was asked for: its next pause is news again."""
        self.answered.add(backend_name)
        self.rounds_of_errors.pop(backend_name, None)
        self.logged = {key for key in self.logged if key[:2] != ("pause", backend_name)}

    def note_creation(self, backend_name: str) -> None:
        """Remember that a backend has created or started something: failures before that are not in a row."""
        self.note_success(backend_name)
        known = self.find_backend(backend_name)
        if known.failures_in_a_row and known.paused_since is None:  # else it was asked before it failed
            self.store.backends.forget_failures(backend_name, runner_id=self.runner_id)

    def _pause_length(self, error: Exception, in_a_row: int) -> timedelta:
        return pause_length(
            classify(error),
            in_a_row=in_a_row,
            poll_sleep=self.settings.poll_sleep,
            chance=self.take_chance(),
            retry_after=error.retry_after if isinstance(error, BackendError) else None,
        )

    def log_once(self, key: tuple[object, ...], message: str, *args: object) -> None:
        """Log a warning the first time that *key* comes by."""
        if key not in self.logged:
            self.logged.add(key)
            log.warning(message, *args)
