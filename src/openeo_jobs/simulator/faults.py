"""What goes wrong between client and backend, on demand: latency, a span of 503, answers that are errors.

The layer lies in front of the backend, which knows nothing of it.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openeo_jobs.simulator.api_errors import ApiError

_BUSY = ApiError(503, "InfrastructureBusy", "Service is not available at the moment. Please try again later.")
_ALWAYS_UP = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An error for the next requests that match: instead of the effect, or after it."""

    method: str
    path: re.Pattern[str]
    error: ApiError
    after_effect: bool

    def matches(self, method: str, path: str) -> bool:
        """Say whether a request is meant."""
        return self.method == method and self.path.search(path) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span of time: from an instant up to another one, or without end."""

    from_at: datetime
    until_at: datetime | None

    def contains(self, at: datetime) -> bool:
        """Say whether *at* lies in it."""
        return self.from_at <= at and (self.until_at is None or at < self.until_at)


class Faults:
    """What is to go wrong; set from any thread."""

    def __init__(
        self,
        *,
        latency_seconds: float = 0.0,
        unavailable: tuple[float, float] | None = None,
        first_created_at: datetime | None = None,
    ) -> None:
        self.latency_seconds = latency_seconds
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._outage: Span | None = None
        self._planned = unavailable
        if first_created_at is not None:
            self._plan_outage(first_created_at)

    def add_answers(self, answer: Answer, *, times: int) -> None:
        """Give *answer* to the next *times* requests that match."""
        with self._lock:
            self._answers.extend([answer] * times)

    def set_outage(self, outage: Span | None) -> None:
        """Be unavailable for *outage*, and for no other span, not even a planned one."""
        self._planned, self._outage = None, outage

    def is_out(self, path: str, now: datetime) -> bool:
        """Say whether a request for *path* is answered 503 *now*."""
        return path != _ALWAYS_UP and self._outage is not None and self._outage.contains(now)

    def take_answer(self, method: str, path: str, now: datetime) -> Answer | None:
        """Return the error that a request gets, if any; each is given once."""
        if (method, path) == ("POST", "/jobs"):
            self._plan_outage(now)
        with self._lock:
            found = next((answer for answer in self._answers if answer.matches(method, path)), None)
            if found is not None:
                self._answers.remove(found)
        return found

    def _plan_outage(self, first_at: datetime) -> None:
        if self._planned is not None:
            after, length = self._planned
            from_at = first_at + timedelta(seconds=after)
            self.set_outage(Span(from_at=from_at, until_at=from_at + timedelta(seconds=length)))


class FaultLayer:
    """The layer that makes it go wrong."""

    def __init__(self, app: ASGIApp, *, faults: Faults, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._faults = faults
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if self._faults.latency_seconds > 0:
            await asyncio.sleep(self._faults.latency_seconds)
        method, path = scope["method"], scope["path"]
        now = self._clock()
        if self._faults.is_out(path, now):
            await _BUSY.to_response()(scope, receive, send)
        elif (answer := self._faults.take_answer(method, path, now)) is not None:
            if answer.after_effect:
                await self._app(scope, receive, _send_nowhere)
            await answer.error.to_response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _send_nowhere(message: Message) -> None:
    """Let an answer get lost."""
