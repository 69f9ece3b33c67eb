"""A local openEO backend over HTTP: started and stopped at will, with its state in a folder."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from openeo_jobs.errors import UsageError
from openeo_jobs.simulator.access import Keys
from openeo_jobs.simulator.app import build_app
from openeo_jobs.simulator.deviations import Deviations
from openeo_jobs.simulator.faults import Fault, Faults, Span
from openeo_jobs.simulator.planning import Failures, Treatment
from openeo_jobs.simulator.profiles import SPECIFICATION, find_profile
from openeo_jobs.simulator.registry import Registry
from openeo_jobs.simulator.request_log import LoggedRequest, RequestLog
from openeo_jobs.simulator.server import HOST, ServerThread, bind
from openeo_jobs.simulator.service import Service
from openeo_jobs.simulator.truth import Truth, tell_truth

_ADDRESS = "address.json"
_BATCH_JOBS = "batch_jobs.jsonl"
_REQUESTS = "requests.jsonl"


def _read_clock() -> datetime:
    return datetime.now(UTC)


class Simulator:
    """A simulated openEO backend, API 1.2.0, on loopback.

        with Simulator(folder="north", seed=7, concurrent_jobs=4) as north:
            connection = openeo.connect(north.url).authenticate_basic("user", "password")

    Any user may log in with the password `password`, and sees only batch jobs of that name.

    - `folder`: where the batch jobs, the port and the log of requests lie. Started again there, also after
      kill -9, it goes on at the same url, and logins stay valid; meanwhile batch jobs have gone on. None: a
      temporary folder, which is deleted with this object.
    - `profile`: the kind of backend, one of `PROFILES`; what else is given is added (`faults`) or takes
      precedence (`failures`, `deviations`, `concurrent_jobs`).
    - `seed`, `queue_seconds`, `run_seconds`, `failures`: how long batch jobs wait and run, drawn evenly from
      these ranges, and which fail. The same seed, title (without tag) and process meet the same fate.
    - `faults`: what happens to shares of the requests, drawn from the seed.
    - `deviations`: how it differs from the openEO API 1.2.0.
    - `latency_seconds`: waited before every request is carried out.
    - `concurrent_jobs`: how many batch jobs of a user may be queued or running; the next start is refused.
    - `unavailable`: (after, for) seconds: a span of 503 that begins so long after the first `POST /jobs`.
    - `port`: 0 takes the one that was last used in the folder, at first a free one.
    - `name`: for people, and the beginning of the ids of batch jobs.
    - `clock`: tells the time, as aware datetimes; tests pass one that they can move.

    Whatever goes wrong, `truth` and `requests` tell what really happened.

    Raises `UsageError` for a profile that does not exist, and on `start` when the port is taken.
    """

    def __init__(
        self,
        *,
        folder: Path | str | None = None,
        profile: str = SPECIFICATION,
        seed: int = 0,
        queue_seconds: tuple[float, float] = (0.0, 0.1),
        run_seconds: tuple[float, float] = (0.1, 0.3),
        latency_seconds: float = 0.0,
        concurrent_jobs: int | None = None,
        failures: Failures | None = None,
        faults: Iterable[Fault] = (),
        deviations: Deviations | None = None,
        unavailable: tuple[float, float] | None = None,
        port: int = 0,
        name: str = "north",
        clock: Callable[[], datetime] = _read_clock,
    ) -> None:
        kind = find_profile(profile)
        self.name = name
        self.folder = Path(folder) if folder is not None else _make_temporary_folder(self)
        self._treatment = Treatment(
            seed=seed,
            queue_seconds=queue_seconds,
            run_seconds=run_seconds,
            failures=failures or kind.failures,
        )
        self._faults = (*kind.faults, *faults)
        self._deviations = deviations or kind.deviations
        self._latency_seconds = latency_seconds
        self._concurrent_jobs = kind.concurrent_jobs if concurrent_jobs is None else concurrent_jobs
        self._unavailable = unavailable
        self._port = port
        self._clock = clock
        self._last: _Session | None = None

    def start(self) -> None:
        """Go on where the folder says; return when requests are answered."""
        if self._last is not None and self._last.is_up:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self._read_address()
        listener = bind(self._port or known.port)
        known.port = listener.getsockname()[1]
        self._write_address(known)
        keys = Keys(known.secret, generation=known.generation)
        self._last = self._open_session(f"http://{HOST}:{known.port}", listener, keys)
        self._last.server.start()

    def stop(self) -> None:
        """Stop answering and close every connection; batch jobs go on by the clock."""
        if self._last is None or not self._last.is_up:
            return
        self._last.server.stop()
        self._last.service.registry.close()
        self._last.log.close()
        self._last.is_up = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it answers, once it was started; the same after every restart."""
        return self._session.url

    def unavailable(self, seconds: float | None = None) -> None:
        """Answer 503 `InfrastructureBusy` from now on, for *seconds* or until `available`; but for `/`."""
        now = self._clock()
        until_at = now + timedelta(seconds=seconds) if seconds is not None else None
        self._session.faults.set_outage(Span(from_at=now, until_at=until_at))

    def available(self) -> None:
        """End a span of 503, and forget one that was planned."""
        self._session.faults.set_outage(None)

    def fail_next(
        self,
        method: str,
        path_regex: str,
        status: int,
        code: str,
        message: str = "Injected by the simulator.",
        *,
        times: int = 1,
        after_effect: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with an error the next *times* requests with *method* whose path contains *path_regex*.

        With *after_effect* they are carried out before: a 504 for a batch job that was created, for example.
        `fail_next("POST", "^/jobs$", 504, "Timeout", after_effect=True)` is just that.
        """
        fault = Fault(
            endpoint="*",
            kind="answer",
            after_effect=after_effect,
            status=status,
            code=code,
            message=message,
            headers=headers or {},
        )
        self._session.faults.hit_next(method, path_regex, fault, times=times)

    def drop_next(self, method: str, path_regex: str, *, times: int = 1, after_effect: bool = False) -> None:
        """Close the connections of the next *times* requests that match, as in `fail_next`, unanswered."""
        fault = Fault(endpoint="*", kind="drop", after_effect=after_effect)
        self._session.faults.hit_next(method, path_regex, fault, times=times)

    def expire_tokens(self) -> None:
        """Let no token be valid any more that was handed out before, not even after a restart."""
        known = self._read_address()
        known.generation += 1
        self._write_address(known)
        self._session.service.keys.generation = known.generation

    def requests(self, method: str | None = None, path: str | None = None) -> list[LoggedRequest]:
        """Return the requests since the folder was new, in the order of their answers; *path* is a regex."""
        pattern = re.compile(path or "")
        return [
            request
            for request in self._session.log.read()
            if method in (None, request.method) and pattern.search(request.path)
        ]

    def truth(self) -> Truth:
        """Return what really happened to the batch jobs, now or, when stopped, since."""
        return tell_truth(self._session.service.registry.list_all(), self._clock())

    @property
    def _session(self) -> _Session:
        if self._last is None:
            raise UsageError(f"the simulator {self.name} was not started yet; use `with` or `start()`")
        return self._last

    def _read_address(self) -> _Address:
        path = self.folder / _ADDRESS
        return _Address(**json.loads(path.read_text())) if path.exists() else _Address()

    def _write_address(self, address: _Address) -> None:
        _write_whole(self.folder / _ADDRESS, json.dumps(asdict(address)))

    def _open_session(self, url: str, listener: socket.socket, keys: Keys) -> _Session:
        registry = Registry(self.folder / _BATCH_JOBS)
        log = RequestLog(self.folder / _REQUESTS)
        service = Service(
            name=self.name,
            registry=registry,
            treatment=self._treatment,
            deviations=self._deviations,
            keys=keys,
            clock=self._clock,
            concurrent_jobs=self._concurrent_jobs,
        )
        faults = Faults(
            self._faults,
            seed=self._treatment.seed,
            latency_seconds=self._latency_seconds,
            unavailable=self._unavailable,
            first_created_at=registry.get_first_created_at(),
        )
        server = ServerThread(build_app(service, url=url, faults=faults, log=log), listener)
        return _Session(url=url, service=service, faults=faults, log=log, server=server)


@dataclass(slots=True, kw_only=True)
class _Address:
    """What stays the same from start to start: where it answers, and what its tokens are made from."""

    port: int = 0
    secret: str = field(default_factory=secrets.token_hex)
    generation: int = 0


@dataclass(slots=True, kw_only=True)
class _Session:
    """What exists from a start to a stop; the truth and the log can be read beyond."""

    url: str
    service: Service
    faults: Faults
    log: RequestLog
    server: ServerThread
    is_up: bool = True


def _make_temporary_folder(owner: object) -> Path:
    folder = tempfile.mkdtemp(prefix="openeo-jobs-simulator-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _write_whole(path: Path, text: str) -> None:
    """Write so that a reader, or a kill, finds the old text or the new one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
