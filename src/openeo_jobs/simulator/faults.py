"""What goes wrong between client and backend: which request is hit by what."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from openeo_jobs.errors import UsageError

FaultKind = Literal["wait", "answer", "page", "drop", "truncate", "shorten", "corrupt", "trickle"]

_ALWAYS_UP = "/"
_EVERYWHERE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a share of the requests to one endpoint.

    - `endpoint`: as in the openEO API, `POST /jobs` or `GET /jobs/{job_id}/results`; a name in braces stands
      for one part of the path, and `*` for every endpoint. Files are at `GET /assets/{job_id}/{name}`.
    - `share`: from 0 to 1. Whether the n-th request to the endpoint is hit depends on the seed of the
      simulator, the fault and n alone; which request is the n-th is up to the client.
    - `kind`: `wait`: it is carried out `seconds` later. `answer`: an openEO error with `status`, `code`,
      `message` and `headers`. `page`: the same as an HTML page, as proxies send it. `drop`: the connection
      is closed without an answer. `truncate`: it is closed after half of the body that `Content-Length`
      promised. `shorten`: half of the body, with a `Content-Length` that fits. `corrupt`: wrong bytes, as
      many as are right. `trickle`: the body takes `seconds`. The last four leave errors alone.
    - `after_effect`: an `answer`, `page` or `drop` comes instead of the effect; with True, after it.
    - `seconds`: drawn evenly from this range.

    Raises `UsageError` for an endpoint, a kind or a share that makes no sense.
    """

    endpoint: str
    kind: FaultKind
    share: float = 1.0
    after_effect: bool = False
    status: int = 503
    code: str = "InfrastructureBusy"
    message: str = "Service is not available at the moment. Please try again later."
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            kinds = ", ".join(get_args(FaultKind))
            raise UsageError(f"there is no kind of fault {self.kind!r}; there are: {kinds}")
        if not 0 <= self.share <= 1:
            raise UsageError(f"the share of a fault is from 0 to 1, not {self.share}")
        if self.endpoint != _EVERYWHERE and re.fullmatch(r"[A-Z]+ /\S*", self.endpoint) is None:
            raise UsageError(f"{self.endpoint!r} is no endpoint; one reads: POST /jobs/{{job_id}}/results")

    @property
    def description(self) -> str:
        """How it reads in the log of requests: `503 after the effect`, `drop`, `truncate`."""
        what = str(self.status) if self.kind in ("answer", "page") else self.kind
        return f"{what} after the effect" if self.after_effect else what


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that a request is hit by, and for how long."""

    fault: Fault
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span of time: from an instant up to another one, or without end."""

    from_at: datetime
    until_at: datetime | None

    @classmethod
    def after(cls, first_at: datetime, plan: tuple[float, float]) -> Span:
        """Return the span that begins and lasts as *plan* says, in seconds, counted from *first_at*."""
        from_at = first_at + timedelta(seconds=plan[0])
        return cls(from_at=from_at, until_at=from_at + timedelta(seconds=plan[1]))

    def contains(self, at: datetime) -> bool:
        """Say whether *at* lies in it."""
        return self.from_at <= at and (self.until_at is None or at < self.until_at)


class Faults:
    """What is to go wrong: by shares, at the next requests, for a span; set from any thread."""

    def __init__(
        self,
        faults: Iterable[Fault] = (),
        *,
        seed: int = 0,
        latency_seconds: float = 0.0,
        unavailable: tuple[float, float] | None = None,
        first_created_at: datetime | None = None,
    ) -> None:
        self.latency_seconds = latency_seconds
        self._dice = [_Dice(fault, f"{seed}:{number}") for number, fault in enumerate(faults)]
        self._next: list[tuple[str, re.Pattern[str], Fault]] = []
        self._lock = threading.Lock()
        self._outage: Span | None = None
        self._planned = unavailable
        if first_created_at is not None:
            self._plan_outage(first_created_at)

    def hit_next(self, method: str, path_regex: str, fault: Fault, *, times: int) -> None:
        """Let *fault* hit the next *times* requests that match."""
        with self._lock:
            self._next.extend([(method, re.compile(path_regex), fault)] * times)

    def set_outage(self, outage: Span | None) -> None:
        """Be unavailable for *outage*, and for no other span, not even a planned one."""
        self._planned, self._outage = None, outage

    def is_out(self, path: str, now: datetime) -> bool:
        """Say whether a request for *path* is answered 503 *now*."""
        return path != _ALWAYS_UP and self._outage is not None and self._outage.contains(now)

    def find_hits(self, method: str, path: str, now: datetime) -> list[Hit]:
        """Return what hits a request: any number of waits, then at most one other fault."""
        if (method, path) == ("POST", "/jobs"):
            self._plan_outage(now)
        drawn = [hit for dice in self._dice if (hit := dice.roll(method, path)) is not None]
        waits = [hit for hit in drawn if hit.fault.kind == "wait"]
        others = [hit for hit in drawn if hit.fault.kind != "wait"]
        due = self._take_next(method, path)
        return [*waits, *([Hit(due)] if due is not None else others[:1])]

    def _take_next(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for number, (its_method, its_path, fault) in enumerate(self._next):
                if its_method == method and its_path.search(path):
                    del self._next[number]
                    return fault
        return None

    def _plan_outage(self, first_at: datetime) -> None:
        if self._planned is not None:
            self.set_outage(Span.after(first_at, self._planned))


class _Dice:
    """Draws for one fault; used by the thread of the server only."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self._fault = fault
        self._seed = f"{seed}:{fault.endpoint}:{fault.kind}"
        self._pattern = _compile(fault.endpoint)
        self._count = 0

    def roll(self, method: str, path: str) -> Hit | None:
        """Return the hit of the next request to the endpoint; None if it is elsewhere, or spared."""
        if self._pattern.fullmatch(f"{method} {path}") is None:
            return None
        self._count += 1
        draw = random.Random(f"{self._seed}:{self._count}")
        if draw.random() >= self._fault.share:
            return None
        return Hit(self._fault, draw.uniform(*self._fault.seconds))


def _compile(endpoint: str) -> re.Pattern[str]:
    if endpoint == _EVERYWHERE:
        return re.compile(".*")
    parts = re.split(r"\{\w*\}", endpoint)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))
