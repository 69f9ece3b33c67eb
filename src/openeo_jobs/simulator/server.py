"""An HTTP server on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import threading

from starlette.types import ASGIApp
from uvicorn import Config, Server

from openeo_jobs.errors import UsageError
from openeo_jobs.simulator.connections import Protocol

HOST = "127.0.0.1"

_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 0.5
"""For requests under way when the server stops; then their connections are reset."""
_LATE_SECONDS = 0.005
"""For connections that were accepted at the very end to become known."""
_PORTS = range(20_000, 30_000)
"""Below the ports that systems give to outgoing connections: one of those could take the port of a simulator
that is stopped for a moment, even a client's attempt to reach that simulator."""


def bind(port: int) -> socket.socket:
    """Listen on *port*, or on any free one if it is 0."""
    if port != 0:
        return _listen(port)
    for candidate in random.Random().sample(_PORTS, 100):
        try:
            return _listen(candidate)
        except UsageError:
            continue
    return _listen(0)


class ServerThread:
    """Serves an application on a socket that listens already, from `start` to `stop`."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = Config(
            app,
            lifespan="off",
            ws="none",
            http=Protocol,
            loop="asyncio",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._server = _AnnouncedServer(config)
        self._thread = threading.Thread(
            target=self._run,
            args=(listener,),
            name=f"simulator-{listener.getsockname()[1]}",
            daemon=True,
        )

    def start(self) -> None:
        """Start the thread and return when it answers requests."""
        self._thread.start()
        self._server.is_up.wait()

    def stop(self) -> None:
        """Stop serving, close every connection and wait for the thread."""
        self._server.end()
        self._thread.join()

    def _run(self, listener: socket.socket) -> None:
        try:
            self._server.run([listener])
        finally:
            self._server.is_up.set()


class _AnnouncedServer(Server):
    """A server that tells other threads when it is up, and ends at once when one of them wants it to."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = asyncio.Event()

    def end(self) -> None:
        """End; called from another thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._is_over.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets=sockets)
        self._loop = asyncio.get_running_loop()
        self.is_up.set()

    async def main_loop(self) -> None:
        """Keep the header `Date` right until the end."""
        while not self._is_over.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close every connection, those in use after their answer; uvicorn's own takes longer."""
        await self._stop_accepting(sockets or [])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._close_connections(), timeout=_GRACE_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _stop_accepting(self, listeners: list[socket.socket]) -> None:
        """Close the listeners, but not before asyncio is through with what it accepts: it would forget it."""
        for listener in listeners:
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().remove_reader(listener)
        await asyncio.sleep(_LATE_SECONDS)
        for server in self.servers:
            server.close()

    async def _close_connections(self) -> None:
        while self.server_state.connections or self.server_state.tasks:
            for connection in list(self.server_state.connections):
                connection.shutdown()
            await asyncio.sleep(_LATE_SECONDS)


def _listen(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"port {port} cannot be used ({error.strerror}); stop what listens there, "
            f"perhaps another simulator in the same folder"
        ) from error
    return listener
