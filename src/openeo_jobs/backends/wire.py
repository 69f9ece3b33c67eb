"""The watch on a Connection: no batch job is created or started without the database knowing first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import requests

from openeo_jobs.backends.creation import Draft, judge_answer, judge_exception
from openeo_jobs.backends.foreign import error_in_answer, error_in_exception
from openeo_jobs.backends.roots import Root
from openeo_jobs.backends.texts import tidied
from openeo_jobs.backends.tries import Mend, Tries, limit_wait, try_once, try_while_answered
from openeo_jobs.errors import BackendError, BackendUnavailableError
from openeo_jobs.jobs import Outcome

if TYPE_CHECKING:
    import openeo

Send = Callable[..., requests.Response]


class Intent(Protocol):
    """What a watcher stored before a create request leaves. `tag` goes into the title; None: no tag."""

    @property
    def tag(self) -> str | None:
        """The tag, without brackets."""
        ...


class Watcher(Protocol):
    """One call of user code, which is told about every request that it sends to a registered backend."""

    @property
    def backend_name(self) -> str:
        """The backend that the call was made for."""
        ...

    def creating(self, backend_name: str, fingerprint: str, *, can_tag: bool) -> Intent:
        """Store that a create request is about to leave; if this raises, it does not leave.

        *fingerprint* is the SHA-256 (hex) of the body before the tag. Without *can_tag* the body is no JSON
        object, and no tag can be sent with it.
        """
        ...

    def created(self, intent: Any, outcome: Outcome, batch_job_id: str | None, message: str | None) -> None:
        """Store what became of it: `CREATED`, `NOT_CREATED` or `UNKNOWN`; always called after `creating`."""
        ...

    def starting(self, backend_name: str, batch_job_id: str) -> None:
        """Store that a start request is about to leave; if this raises, it does not leave."""
        ...

    def started(self, backend_name: str, batch_job_id: str, error: BackendError | None) -> None:
        """Store what became of it; always called after `starting`."""
        ...

    def saw(self, backend_name: str, error: BackendError) -> None:
        """Remember that a request of this call failed (an exception, or an answer of 400 and above)."""
        ...


_watcher: ContextVar[Watcher | None] = ContextVar("openeo_jobs_watcher", default=None)
_in_flight: ContextVar[requests.PreparedRequest | None] = ContextVar("openeo_jobs_in_flight", default=None)


def watch(connection: openeo.Connection, backend_name: str) -> None:
    """Watch what *connection* sends from now on, as the backend *backend_name*.

    Watching twice is watching once. A connection, or a session that several connections share, may be
    watched under several names: a request belongs to the name whose root URL fits best, and among equals to
    the backend of the call, else to the latest. Call this again whenever a connection is handed out: somebody
    may have given it another session, or put something else in the place of its `send`.

    Only requests inside of `watching` are noticed, in the thread that entered it.
    """
    session = connection.session
    current = session.__dict__.get("send")
    if not isinstance(current, _Watch):
        current = _Watch(session, replaced=current)
        session.send = current
    current.register(Root.of(connection.root_url), backend_name)


@contextmanager
def watching(call: Watcher) -> Iterator[None]:
    """Attribute to *call* what this thread sends through watched connections meanwhile."""
    token = _watcher.set(call)
    try:
        yield
    finally:
        _watcher.reset(token)


class _Watch:
    """Stands in the place of a session's `send`."""

    def __init__(self, session: requests.Session, *, replaced: Send | None) -> None:
        self._session = session
        self._replaced = replaced
        self._names: list[tuple[Root, str]] = []
        self._tries = Tries(session)

    def register(self, root: Root, backend_name: str) -> None:
        """Let requests below *root* belong to *backend_name*."""
        others = [known for known in self._names if known != (root, backend_name)]
        self._names = [*others, (root, backend_name)]

    def __call__(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        watcher = _watcher.get()
        # The same request comes by twice where a wrapper was put around us and then watched again.
        if watcher is None or _in_flight.get() is request:
            return self._send(request, **kwargs)
        for root, backend_name in self._candidates(watcher):
            path = root.path_below(request.url or "")
            if path is not None:
                return self._send_watched(_Request(watcher, backend_name, request, kwargs), path)
        return self._send(request, **kwargs)

    def _send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        # Looked up at call time, so that requests_mock, which patches the class, keeps working.
        send = self._replaced or partial(type(self._session).send, self._session)
        return send(request, **kwargs)

    def _candidates(self, watcher: Watcher) -> list[tuple[Root, str]]:
        latest_first = reversed(self._names)
        return sorted(latest_first, key=lambda n: (n[0].depth, n[1] == watcher.backend_name), reverse=True)

    def _send_watched(self, it: _Request, path: tuple[str, ...]) -> requests.Response:
        if it.request.method == "POST" and path == ("jobs",):
            return self._create(it)
        if it.request.method == "POST" and len(path) == 3 and (path[0], path[2]) == ("jobs", "results"):
            return self._start(it, path[1])
        return self._send_and_tell(it, it.request, it.kwargs, mend=try_while_answered)

    def _create(self, it: _Request) -> requests.Response:
        draft = Draft.of(it.request)
        intent = it.watcher.creating(it.backend_name, draft.fingerprint, can_tag=draft.can_tag)
        verdict: tuple[Outcome, str | None, str | None] = (Outcome.UNKNOWN, None, "interrupted")
        request = it.request
        try:
            request = draft.tagged(intent.tag)
            response = self._send_once(it, request)
            verdict = judge_answer(response)
            return response
        except BaseException as error:
            verdict = judge_exception(error, request)
            raise
        finally:
            it.watcher.created(intent, *verdict)

    def _start(self, it: _Request, batch_job_id: str) -> requests.Response:
        it.watcher.starting(it.backend_name, batch_job_id)
        error: BackendError | None = BackendUnavailableError("interrupted")
        try:
            response = self._send_once(it, it.request)
            error = error_in_answer(response)
            return response
        except BaseException as raised:
            error = error_in_exception(raised) or BackendUnavailableError(tidied(repr(raised)))
            raise
        finally:
            it.watcher.started(it.backend_name, batch_job_id, error)

    def _send_once(self, it: _Request, request: requests.PreparedRequest) -> requests.Response:
        """Send exactly one request: no retries, no redirects (a Connection follows none for POST either)."""
        token = _in_flight.set(request)
        try:
            return self._send_and_tell(it, request, {**it.kwargs, "allow_redirects": False}, mend=try_once)
        finally:
            _in_flight.reset(token)

    def _send_and_tell(
        self, it: _Request, request: requests.PreparedRequest, kwargs: dict[str, Any], *, mend: Mend
    ) -> requests.Response:
        kwargs = {**kwargs, "timeout": limit_wait(kwargs.get("timeout"))}
        try:
            with self._tries.mended(mend):
                response = self._send(request, **kwargs)
        except Exception as error:
            if (failure := error_in_exception(error)) is not None:
                it.watcher.saw(it.backend_name, failure)
            raise
        if response.status_code >= 400 and (failure := error_in_answer(response)) is not None:
            it.watcher.saw(it.backend_name, failure)
        return response


@dataclass(frozen=True, slots=True)
class _Request:
    """One request on its way, and who is told about it."""

    watcher: Watcher
    backend_name: str
    request: requests.PreparedRequest
    kwargs: dict[str, Any]
