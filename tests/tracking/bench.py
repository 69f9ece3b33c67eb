"""A run on fake gateways with a clock of its own, round by round."""

from __future__ import annotations

import copy
import itertools
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from openeo_jobs.assets import Offer
from openeo_jobs.backends.wire import Watcher
from openeo_jobs.errors import BackendError, BackendUnavailableError
from openeo_jobs.jobs import Backend, Column, Job, Outcome, Runner
from openeo_jobs.policy.ownership import Sighting, is_dead
from openeo_jobs.status import JobStatus
from openeo_jobs.storage import migrate
from openeo_jobs.storage.store import JobStore, open_store_for_run
from openeo_jobs.tables import NewJob, Table
from openeo_jobs.testing import FakeGateway
from openeo_jobs.tracking import loop
from openeo_jobs.tracking.listening import Listener
from openeo_jobs.tracking.pool import Pool, _run, _Task
from openeo_jobs.tracking.presence import Clock, Presence
from openeo_jobs.tracking.run import Run, Settings
from openeo_jobs.tracking.user_code import Returned

NO_ANSWER = BackendUnavailableError("no answer in time")
Script = Callable[["Bench", Job, FakeGateway, Watcher], Returned | None]


class Crash(BaseException):
    """The process dies here."""


class PoolInOrder(Pool):
    """A pool without threads: each task is done when it is submitted, so that all runs are alike."""

    def submit(
        self,
        kind: str,
        *,
        lane: str,
        key: Hashable,
        subject: Any,
        function: Callable[[], Any],
        threads: int | None = None,
    ) -> bool:
        if (kind, key) in self._under_way:
            return False
        task = _Task(kind=kind, lane=lane, key=(kind, key), subject=subject, function=function)
        self._under_way[task.key] = task
        self._done.put((task.key, _run(task)))
        return True


class Bench:
    """A campaign of `rows` rows on `backends` of `cap` slots; `script` plays the part of `start_job`."""

    opened: ClassVar[list[Bench]] = []

    def __init__(
        self,
        folder: Path,
        *,
        rows: int = 1,
        cap: int = 4,
        backends: tuple[str, ...] = ("north",),
        pool: type[Pool] = Pool,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self._instant = [datetime(2024, 1, 1, tzinfo=UTC)]
        self._skew = timedelta(0)
        self.judge: Callable[[Runner], bool] = lambda other: True
        self.gateways = {name: FakeGateway(name) for name in backends}
        self.gateway = self.gateways["north"]
        self.script: Script = create
        self.hooks: dict[JobStatus, Callable[[Job], None]] = {}
        self.hook_calls: list[tuple[int, JobStatus]] = []
        self.wants: Callable[[Offer], bool] = lambda offer: True
        self.refusal: Exception | None = None
        self.renewals: list[str] = []
        self.new_logins: set[str] = set()
        self.has_login_command = True
        self._settings = settings
        self._cap = cap
        self._pool = pool
        self._pids = itertools.count(1)
        self.store = self._open()
        jobs = tuple(NewJob(params=f"[{i}]", index_label=str(i)) for i in range(rows))
        columns = (Column(name="n", dtype="int64"),)
        self.store.campaigns.begin(
            Table(columns=columns, index=Column(name="", dtype="int64"), jobs=jobs),
            uid="abcdef123456",
            at=self.now,
        )
        self.run = self._begin()
        Bench.opened.append(self)

    def close(self) -> None:
        """Let go of threads and connections."""
        self.run.pool.close()
        self.store.close()

    def restart(self) -> None:
        """Go on in another process, after this one has died."""
        self.close()
        self.store = self._open()
        self.run = self._begin()

    @property
    def now(self) -> datetime:
        """The time by the clock of this run; it passes for all that have joined."""
        return self._instant[0] + self._skew

    @now.setter
    def now(self, at: datetime) -> None:
        self._instant[0] = at - self._skew

    def join(self, *, cap: int | None = None, skew: float = 0, **settings: Any) -> Bench:
        """Begin another run beside this one, on the same database and backends.

        Its clock goes *skew* seconds before this one's. From now on nobody can prove anybody dead: only
        silence counts.
        """
        other = copy.copy(self)
        other._skew, other._settings = self._skew + timedelta(seconds=skew), self._settings | settings
        other.hooks, other.hook_calls, other._cap = dict(self.hooks), [], cap or self._cap
        self.judge, other.judge = self._is_silent, other._is_silent
        other.store = other._open()
        other.run = other._begin()
        Bench.opened.append(other)
        return other

    def round(self, seconds: float = 0) -> None:
        """Let time pass, then do one round."""
        self.now += timedelta(seconds=seconds)
        loop.do_one_round(self.run)
        loop.drain(self.run, 5)

    def job(self, number: int = 1) -> Job:
        found = self.store.jobs.one(number)
        assert found is not None
        return found

    def status(self, number: int = 1) -> JobStatus:
        return self.job(number).status

    def count(self, method: str) -> int:
        return sum(call[0] == method for call in self.gateway.calls)

    def count_creations(self) -> dict[int, int]:
        """Count the batch jobs of each row, by the tags in their titles."""
        tags = [str(one.title).rpartition("[")[2] for one in self.gateway.batch_jobs.values()]
        return dict(Counter(int(tag.split("-")[2], 36) for tag in tags))

    # What the manager does for a run (`openeo_jobs.tracking.user_code.UserCode`).

    def connect(self, backend_name: str) -> FakeGateway:
        if self.refusal is not None:
            raise self.refusal
        return self.gateways[backend_name]

    def reconnect(self, backend_name: str) -> FakeGateway:
        self.renewals.append(backend_name)
        return self.connect(backend_name)

    def has_new_login(self, backend_name: str) -> bool:
        return backend_name in self.new_logins

    def find_remedy(self, backend_name: str) -> str | None:
        return f"openeo-auth oidc-auth {backend_name}" if self.has_login_command else None

    def start_job(self, job: Job, backend_name: str, watcher: Watcher) -> Returned | None:
        return self.script(self, job, self.gateways[backend_name], watcher)

    def has_hook(self, status: JobStatus) -> bool:
        return status in self.hooks

    def call_hook(self, job: Job) -> None:
        self.hook_calls.append((job.number, job.status))
        self.hooks[job.status](job)

    def wants_file(self, offer: Offer) -> bool:
        return self.wants(offer)

    def job_folder(self, job: Job) -> Path:
        return self.folder / f"job_{job.batch_job_id}"

    def metadata_path(self, job: Job) -> Path:
        return self.job_folder(job) / f"job_{job.batch_job_id}.json"

    def error_log_path(self, job: Job) -> Path:
        return self.job_folder(job) / f"job_{job.batch_job_id}_errors.json"

    def write_mirror(self) -> bool:
        return False

    def _is_silent(self, other: Runner) -> bool:
        sighting = Sighting(boot_id="?", pid_namespace="?", process_started_at=None)
        return is_dead(other, sighting, silence=self._listener.silence_of(other))

    def _open(self) -> JobStore:
        path, empty = self.folder / "jobs.sqlite", self.folder.parent / "empty.sqlite"
        if not empty.exists():  # for the whole session: to copy takes less time than to make
            migrate.create(empty)
        if not path.exists():
            shutil.copy(empty, path)
        return open_store_for_run(path, is_dead=lambda runner: True)

    def _begin(self) -> Run:
        pid = next(self._pids)
        runner = make_runner(pid, at=self.now)
        seconds = {"poll_sleep": 60.0, "grace": 120.0, "lost_after": 1800.0, "lease": 1e8, "patience": 3.0}
        seconds |= {name: value for name, value in self._settings.items() if name in seconds}
        others = {name: value for name, value in self._settings.items() if name not in seconds}
        durations = {name: timedelta(seconds=value) for name, value in seconds.items()}
        campaign = self.store.campaigns.load()
        assert campaign is not None
        tokens = itertools.count(100 * pid)
        self._listener = Listener()
        presence = Presence(
            store=self.store,
            runner=replace(runner, lease=durations["lease"]),
            listener=self._listener,
            clock=Clock(lambda: self.now, lease=durations["lease"]),
            is_dead=lambda other: self.judge(other),
        )
        presence.begin()
        run = Run(
            store=self.store,
            campaign=campaign,
            presence=presence,
            settings=Settings(**durations, **others),
            caps=dict.fromkeys(self.gateways, self._cap),
            user_code=self,
            pool=self._pool(),
            make_token=lambda: f"{next(tokens):05}",
            take_chance=lambda: 0.0,
        )
        self.store.backends.register(Backend(name=name, parallel_jobs=self._cap) for name in self.gateways)
        return run


def make_runner(pid: int, *, at: datetime) -> Runner:
    return Runner(
        uuid=uuid.uuid4().hex, host="here", boot_id="b", pid_namespace="n", pid=pid, process_started_at="1",
        started_at=at, command="python x.py", folder="/x", heartbeat_at=at,
    )  # fmt: skip


def post(
    bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher, *,
    arrives: bool = True, outcome: Outcome = Outcome.CREATED, title: str = "tile",
) -> str | None:  # fmt: skip
    """Send one create request as the wire does, and let the database know of it."""
    intent = watcher.creating(gateway.name, "fingerprint", can_tag=True)
    batch_job_id = gateway.create(f"{title} [{intent.tag}]" if intent.tag else title) if arrives else None
    watcher.created(intent, outcome, batch_job_id if outcome is Outcome.CREATED else None, None)
    return batch_job_id


def create(bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher) -> Returned:
    batch_job_id = post(bench, job, gateway, watcher)
    return Returned(backend_name=gateway.name, batch_job_id=str(batch_job_id))


def lose_the_answer(bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher) -> Returned:
    """The batch job is created, and nobody hears of it."""
    post(bench, job, gateway, watcher, outcome=Outcome.UNKNOWN)
    watcher.saw(gateway.name, NO_ANSWER)
    raise NO_ANSWER


def never_arrive(bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher) -> Returned:
    """Nothing is created, and nobody knows that."""
    post(bench, job, gateway, watcher, arrives=False, outcome=Outcome.UNKNOWN)
    watcher.saw(gateway.name, NO_ANSWER)
    raise NO_ANSWER


def die_on_the_wire(bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher) -> Returned:
    """The process is killed while the request is under way; the batch job is created."""
    intent = watcher.creating(gateway.name, "fingerprint", can_tag=True)
    gateway.create(f"tile [{intent.tag}]")
    raise Crash


def die_before_the_wire(bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher) -> Returned:
    raise Crash


def die_before_the_return(bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher) -> Returned:
    post(bench, job, gateway, watcher)
    raise Crash


def refuse(error: BackendError) -> Script:
    def script(bench: Bench, job: Job, gateway: FakeGateway, watcher: Watcher) -> Returned:
        post(bench, job, gateway, watcher, arrives=False, outcome=Outcome.NOT_CREATED)
        watcher.saw(gateway.name, error)
        raise error

    return script
