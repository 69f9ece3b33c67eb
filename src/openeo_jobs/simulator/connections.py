"""TCP connections that can be broken off while a request is handled."""

from __future__ import annotations

import asyncio
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

BROKEN_OFF = "openeo_jobs.broken_off"
"""The type of the message that an application sends to close the connection instead of going on."""

_TRANSPORT = "openeo_jobs.transport"


class Protocol(H11Protocol):
    """Uvicorn's protocol, which lets the application know the connection that a request came by."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep *transport* where every request finds it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class ConnectionLayer:
    """Breaks off a connection where the application sends `BROKEN_OFF`; what was sent before arrives."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_or_break_off(message: Message) -> None:
            if message["type"] != BROKEN_OFF:
                await send(message)
                return
            get_transport(scope).close()
            while (await receive())["type"] != "http.disconnect":
                pass

        await self._app(scope, receive, send_or_break_off)


def get_transport(scope: Scope) -> asyncio.Transport:
    """Return the connection that a request came by."""
    return cast(asyncio.Transport, scope["state"][_TRANSPORT])
