"""The layers that make it go wrong, in front of a backend that knows nothing of them."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from datetime import datetime
from html import escape

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openeo_jobs.simulator.api_errors import ApiError
from openeo_jobs.simulator.connections import BROKEN_OFF, get_transport
from openeo_jobs.simulator.faults import Fault, Faults, Hit
from openeo_jobs.simulator.request_log import note_fault

_OUTAGE = Fault(endpoint="*", kind="answer")
_PIECES = 8


class FaultLayer:
    """Lets requests be hit by faults."""

    def __init__(self, app: ASGIApp, *, faults: Faults, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._faults = faults
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if self._faults.latency_seconds > 0:
            await asyncio.sleep(self._faults.latency_seconds)
        method, path, now = scope["method"], scope["path"], self._clock()
        hits = [Hit(_OUTAGE)] if self._faults.is_out(path, now) else self._faults.find_hits(method, path, now)
        for hit in hits:
            if hit.fault.kind == "wait":
                note_fault(scope, hit.fault.description)
                await asyncio.sleep(hit.seconds)
        if hits and hits[-1].fault.kind != "wait":
            await self._go_wrong(hits[-1], scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _go_wrong(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        fault = hit.fault
        if fault.kind in ("truncate", "shorten", "corrupt", "trickle"):
            await _distort(hit, await _collect_answer(self._app, scope, receive), scope, send)
            return
        note_fault(scope, fault.description)
        if fault.after_effect:
            await self._app(scope, receive, _send_nowhere)
        if fault.kind == "drop":
            await send({"type": BROKEN_OFF})
        else:
            await _make_answer(fault)(scope, receive, send)


class ResetLayer:
    """Breaks off a connection that is used again after an answer that was an error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._spoilt: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        transport = get_transport(scope)
        if transport in self._spoilt:
            note_fault(scope, "drop after an error")
            await send({"type": BROKEN_OFF})
            return

        async def send_and_look(message: Message) -> None:
            if message.get("status", 0) >= 400:
                self._spoilt.add(transport)
            await send(message)

        await self._app(scope, receive, send_and_look)


def _make_answer(fault: Fault) -> Response:
    if fault.kind == "answer":
        return ApiError(fault.status, fault.code, fault.message, headers=fault.headers).to_response()
    page = f"<html><head><title>{fault.status}</title></head><body>{escape(fault.message)}</body></html>"
    return HTMLResponse(page, status_code=fault.status, headers=fault.headers)


async def _send_nowhere(message: Message) -> None:
    """Let an answer get lost."""


async def _collect_answer(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def _distort(hit: Hit, answer: tuple[Message, bytes], scope: Scope, send: Send) -> None:
    """Send *answer* otherwise than it should be; one that is an error, or empty, as it is."""
    (start, body), kind = answer, hit.fault.kind
    if start["status"] >= 300 or not body:
        await send(start)
        await _send_body(body, send)
        return
    note_fault(scope, hit.fault.description)
    half = len(body) // 2
    if kind == "shorten":
        start, body = _with_length(start, half), body[:half]
    elif kind == "corrupt":
        body = bytes(byte ^ 0xFF for byte in body)
    await send(start)
    if kind == "truncate":
        await _send_body(body[:half], send, is_last=False)
        await send({"type": BROKEN_OFF})
    elif kind == "trickle":
        await _send_slowly(body, hit.seconds, send)
    else:
        await _send_body(body, send)


async def _send_slowly(body: bytes, seconds: float, send: Send) -> None:
    size = -(-len(body) // _PIECES)
    for begin in range(0, len(body), size):
        await asyncio.sleep(seconds / _PIECES)
        await _send_body(body[begin : begin + size], send, is_last=False)
    await _send_body(b"", send)


async def _send_body(body: bytes, send: Send, *, is_last: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})


def _with_length(start: Message, length: int) -> Message:
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}
