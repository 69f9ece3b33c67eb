"""How often, and for how long, what `start_job` sends to a backend is tried: nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

CONNECT_TIMEOUT_SECONDS = 10.0
ANSWER_TIMEOUT_SECONDS = 120.0
"""How long an answer may take, where nobody has chosen a time."""
_CLIENTS_TIMEOUT_SECONDS = 20 * 60
"""What openEO's client takes where nobody has chosen; a run with other backends cannot wait for that."""

Mend = Callable[[Retry], Retry]
"""Makes of the retries of an adapter those for one request."""


def limit_wait(timeout: Any) -> Any:
    """Return the time-out (seconds, as requests takes it) of a request whose sender has chosen *timeout*."""
    if timeout is None or timeout == _CLIENTS_TIMEOUT_SECONDS:
        return (CONNECT_TIMEOUT_SECONDS, ANSWER_TIMEOUT_SECONDS)
    return timeout


def try_once(retries: Retry) -> Retry:
    """Return retries for a request that must not be repeated."""
    return Retry(0, read=False)


def try_while_answered(retries: Retry) -> Retry:
    """Return *retries*, but without those that take for ever.

    Who did not answer in time is not asked the same once more, and nobody sleeps for as long as a backend
    asks to (`Retry-After`): the last answer is handed on, and the run leaves the backend alone that long.
    """
    if type(retries) is not Retry:  # the user's own rules
        return retries
    patient = retries.new(respect_retry_after_header=False, raise_on_status=False)
    patient.__class__ = _WhileAnswered  # of whatever version of urllib3, with what it was made of
    return patient


class _WhileAnswered(Retry):
    def increment(  # type: ignore[override]
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        *rest: Any,
        **named: Any,
    ) -> Retry:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, *rest, **named)


class Tries:
    """Mends the retries of a session's adapters while it is entered, in the threads that entered it."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self._attributes = session.__dict__
        self._lock = threading.Lock()
        self._entered = 0
        self._replaced: Callable[[str], BaseAdapter] | None = None
        self._ours = self._get_adapter

    @contextmanager
    def mended(self, mend: Mend) -> Iterator[None]:
        """Mend the retries of what this thread sends meanwhile."""
        token = _mend.set(mend)
        try:
            with self._in_place():
                yield
        finally:
            _mend.reset(token)

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        with self._lock:
            if not self._entered:
                self._replaced = self._attributes.get("get_adapter")
            self._attributes["get_adapter"] = self._ours
            self._entered += 1
        try:
            yield
        finally:
            with self._lock:
                self._entered -= 1
                # Not ours any more: requests_mock has put its own there, and leaves it.
                if not self._entered and self._attributes.get("get_adapter") is self._ours:
                    self._put_back()

    def _put_back(self) -> None:
        del self._attributes["get_adapter"]
        if self._replaced is not None:
            self._attributes["get_adapter"] = self._replaced

    def _get_adapter(self, url: str) -> BaseAdapter:
        find = self._replaced or partial(type(self._session).get_adapter, self._session)
        adapter, mend = find(url), _mend.get()
        if mend is None or not isinstance(adapter, HTTPAdapter):
            return adapter
        return _twin_of(adapter, mend(adapter.max_retries))


_mend: ContextVar[Mend | None] = ContextVar("openeo_jobs_mend", default=None)


def _twin_of(adapter: HTTPAdapter, retries: Retry) -> HTTPAdapter:
    """Return an adapter like *adapter*, over the same pools, with other retries."""
    twin = type(adapter).__new__(type(adapter))
    twin.__dict__.update(adapter.__dict__)
    twin.max_retries = retries
    return twin
