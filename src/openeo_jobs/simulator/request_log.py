"""The log of a simulator's requests: a line of JSON per answer before it leaves, and one once it has."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openeo_jobs.simulator.connections import BROKEN_OFF, get_transport

_NOTES = "openeo_jobs.notes"
_WITH_BATCH_JOB = ("jobs", "assets")
_TIMES = {"at", "until_at"}
_END = {"until_at", "sent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """A request and how it was answered.

    `batch_job_id` is the one in the path; for `POST /jobs` the one that was created, whatever was answered.
    `title` is that of the body of `POST /jobs`. `status` is None where nothing was answered. `fault` is what
    went wrong on purpose: None, or for example `drop after the effect`. `user` is whose token it brought.
    `until_at` is when the answer had left, or its client, and `sent` how many bytes of its body had; None
    where it is still under way, or the simulator was killed.
    """

    at: datetime
    method: str
    path: str
    query: str
    status: int | None
    batch_job_id: str | None
    title: str | None
    fault: str | None = None
    user: str | None = None
    until_at: datetime | None = field(default=None, compare=False)
    sent: int | None = field(default=None, compare=False)


class RequestLog:
    """The file that the requests are in; it is appended to over all restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def append(self, request: LoggedRequest) -> int:
        """Write *request* down; return its place in the log."""
        place = self._file.tell()
        members = {**asdict(request), "at": request.at.isoformat()}
        self._write({name: value for name, value in members.items() if name not in _END})
        return place

    def append_end(self, place: int, *, at: datetime, sent: int) -> None:
        """Write down when the answer of the request at *place* had left, and how much of its body."""
        self._write({"place": place, "until_at": at.isoformat(), "sent": sent})

    def read(self) -> Iterator[LoggedRequest]:
        """Return what was written, in the order of the answers; also when the file is closed."""
        requests: dict[int, LoggedRequest] = {}
        place = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            if line.startswith(b"{") and line.endswith(b"}\n"):
                members = json.loads(line)
                members |= {name: datetime.fromisoformat(members[name]) for name in _TIMES & members.keys()}
                ended = members.pop("place", None)
                if ended is None:
                    requests[place] = LoggedRequest(**members)
                elif ended in requests:
                    requests[ended] = replace(requests[ended], **members)
            place += len(line)
        yield from requests.values()

    def _write(self, members: dict[str, Any]) -> None:
        self._file.write(json.dumps(members).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class RequestLogLayer:
    """The outermost layer: it reads the whole request first, and logs the answer that really leaves.

    A request that a client has broken off is neither carried out nor logged.
    """

    def __init__(self, app: ASGIApp, *, log: RequestLog, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._log = log
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        at, body = self._clock(), await _read_body(receive)
        if body is None:
            return
        title = _read_title(body) if (scope["method"], scope["path"]) == ("POST", "/jobs") else None
        notes = scope[_NOTES] = _Notes(batch_job_id=_read_batch_job_id(scope["path"]))
        place: int | None = None
        sent = 0

        def log(status: int | None) -> int:
            return self._log.append(_describe(scope, notes, at=at, status=status, title=title))

        async def send_logged(message: Message) -> None:
            nonlocal place, sent
            if message["type"] in ("http.response.start", BROKEN_OFF) and place is None:
                place = log(message.get("status"))
            await send(message)
            if not get_transport(scope).is_closing():
                sent += len(message.get("body", b""))

        # Canceled means that the server stops and the connection is gone: nobody is left to be told.
        with contextlib.suppress(asyncio.CancelledError):
            await self._app(scope, _replay(body, receive), send_logged)
        if place is None:
            place = log(None)
        self._log.append_end(place, at=self._clock(), sent=sent)


def note_batch_job(scope: Scope, batch_job_id: str) -> None:
    """Tell the log which batch job the request has created."""
    scope[_NOTES].batch_job_id = batch_job_id


def note_user(scope: Scope, user: str) -> None:
    """Tell the log whose request it is."""
    scope[_NOTES].user = user


def note_fault(scope: Scope, description: str) -> None:
    """Tell the log what goes wrong with the request on purpose."""
    scope[_NOTES].faults.append(description)


@dataclass(slots=True, kw_only=True)
class _Notes:
    """What the log is told about a request while it is handled."""

    batch_job_id: str | None
    user: str | None = None
    faults: list[str] = field(default_factory=list)


def _describe(
    scope: Scope, notes: _Notes, *, at: datetime, status: int | None, title: str | None
) -> LoggedRequest:
    query = scope["query_string"].decode("latin-1")
    return LoggedRequest(
        at=at,
        method=scope["method"],
        path=scope["path"],
        query=query,
        status=status,
        batch_job_id=notes.batch_job_id,
        title=title,
        fault=", ".join(notes.faults) or None,
        user=notes.user,
    )


async def _read_body(receive: Receive) -> bytes | None:
    """Read the whole body; None if the client has gone before its end."""
    body, is_more = b"", True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives the *body* that was read already, then goes on."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _read_title(body: bytes) -> str | None:
    try:
        members: Any = json.loads(body)
    except ValueError:
        return None
    title = members.get("title") if isinstance(members, dict) else None
    return title if isinstance(title, str) else None


def _read_batch_job_id(path: str) -> str | None:
    parts = path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] in _WITH_BATCH_JOB else None
