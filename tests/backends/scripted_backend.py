"""A backend that answers by script, over real sockets, and a watcher that writes everything down."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import openeo
import pytest
import requests

from openeo_jobs.backends.wire import Intent
from openeo_jobs.errors import BackendError
from openeo_jobs.jobs import Outcome


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False
    """Close the connection without an answer."""
    cut_at: int | None = None
    """Announce the whole body, but send only so many bytes."""

    def payload(self) -> bytes:
        if self.body is not None:
            return self.body
        return b"" if self.json is None else json.dumps(self.json).encode()


class ScriptedBackend:
    """`on("GET", "/jobs", Answer(...), Answer(...))`: one answer after the other, the last one for ever."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.script: dict[tuple[str, str], list[Any]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.root = self.url + "/openeo/1.2"
        self.on("GET", "/", Answer(json={"api_version": "1.2.0", "endpoints": []}))

    def on(self, method: str, path: str, *answers: Any) -> None:
        self.script[method, self.full(path)] = list(answers)

    def on_query(self, method: str, path: str, answer: Any) -> None:
        """*answer* is a function of what was seen."""
        self.on(method, path, answer)

    def full(self, path: str) -> str:
        return path if path.startswith("//") else "/openeo/1.2" + path

    def requests(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, self.full(path))]

    def answer(self, seen: Seen) -> Answer:
        self.seen.append(seen)
        answers = self.script.get((seen.method, seen.path))
        if answers is None:
            return Answer(404, {"code": "NotFound", "message": f"no {seen.path} here"})
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer(seen) if callable(answer) else answer

    def connect(self, **kwargs: Any) -> openeo.Connection:
        return openeo.Connection(self.root, **kwargs)


def _handler_for(backend: ScriptedBackend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = backend.answer(Seen(self.command, url.path, query, headers, body))
            if not answer.closes:
                self.send(answer)

        def send(self, answer: Answer) -> None:
            payload = answer.payload()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(payload)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload[: answer.cut_at])

        do_GET = do_POST = do_DELETE = do_HEAD = handle_one  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def _serving() -> Iterator[ScriptedBackend]:
    backend = ScriptedBackend()
    thread = threading.Thread(target=backend.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield backend
    finally:
        backend.server.shutdown()
        thread.join()
        backend.server.server_close()


@dataclass
class TestIntent:
    tag: str | None


class Recorder:
    """A watcher that writes everything down."""

    def __init__(self, backend_name: str = "a", tag: str | None = "oj-c1-1-x") -> None:
        self.backend_name = backend_name
        self.tag = tag
        self.events: list[tuple[Any, ...]] = []
        self.refusal: Exception | None = None

    def creating(self, backend_name: str, fingerprint: str, *, can_tag: bool) -> Intent:
        self.events.append(("creating", backend_name, fingerprint, can_tag))
        if self.refusal is not None:
            raise self.refusal
        return TestIntent(self.tag)

    def created(
        self, intent: TestIntent, outcome: Outcome, batch_job_id: str | None, message: str | None
    ) -> None:
        self.events.append(("created", outcome, batch_job_id, message))

    def starting(self, backend_name: str, batch_job_id: str) -> None:
        self.events.append(("starting", backend_name, batch_job_id))
        if self.refusal is not None:
            raise self.refusal

    def started(self, backend_name: str, batch_job_id: str, error: BackendError | None) -> None:
        self.events.append(("started", backend_name, batch_job_id, error))

    def saw(self, backend_name: str, error: BackendError) -> None:
        self.events.append(("saw", backend_name, error))

    def all(self, kind: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == kind]

    def only(self, kind: str) -> tuple[Any, ...]:
        [event] = self.all(kind)
        return event

    @property
    def outcome(self) -> Outcome:
        outcome, _, _ = self.only("created")
        return outcome


TestIntent.__test__ = False  # type: ignore[attr-defined]


class PlainConnection(SimpleNamespace):
    """What the watch and the gateway read of a Connection, without one."""

    def __init__(self, root_url: str, **kwargs: Any) -> None:
        super().__init__(
            root_url=root_url,
            session=kwargs.pop("session", None) or requests.Session(),
            auth=kwargs.pop("auth", None),
            default_headers={"User-Agent": "tests"},
            **kwargs,
        )


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with _serving() as backend:
        yield backend


@pytest.fixture
def other_backend() -> Iterator[ScriptedBackend]:
    with _serving() as backend:
        yield backend


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def plain_connection() -> type[PlainConnection]:
    return PlainConnection


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
