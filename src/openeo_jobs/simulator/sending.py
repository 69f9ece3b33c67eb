"""A file on its way to a client: whole or in part, no faster than it may be."""

from __future__ import annotations

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from openeo_jobs.simulator.assets import ResultFile
from openeo_jobs.simulator.connections import get_transport
from openeo_jobs.simulator.deviations import Files

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def send_file(file: ResultFile, request: Request, files: Files) -> Response:
    """Send *file*, or the range of it that is asked for (RFC 9110, one range only)."""
    size, etag = file.content.size, f'"{file.content.version}"'
    headers = {"ETag": etag}
    whole = FileResponse(file, 0, size - 1, headers=headers, bytes_per_second=files.bytes_per_second)
    if not files.has_ranges:
        return whole
    whole.headers["Accept-Ranges"] = headers["Accept-Ranges"] = "bytes"
    wanted = _read_range(request.headers.get("range", ""), size)
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return whole
    first, last = wanted
    if first > last:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return FileResponse(
        file, first, last, status=206, headers=headers, bytes_per_second=files.bytes_per_second
    )


class FileResponse(Response):
    """The bytes from *first* to *last* of a file, sent as the client takes them, as long as it is there."""

    def __init__(
        self,
        file: ResultFile,
        first: int,
        last: int,
        *,
        headers: dict[str, str],
        bytes_per_second: float | None,
        status: int = 200,
    ) -> None:
        headers = {**headers, "Content-Length": str(last + 1 - first)}
        super().__init__(status_code=status, headers=headers, media_type=file.media_type)
        self._content = file.content
        self._first = first
        self._last = last
        self._bytes_per_second = bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            await self._send_pieces(scope, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_pieces(self, scope: Scope, send: Send) -> None:
        transport, loop = get_transport(scope), asyncio.get_running_loop()
        began_at, sent = loop.time(), 0
        for piece in self._content.read(self._first, self._last):
            if self._bytes_per_second is not None:
                sent += len(piece)
                await asyncio.sleep(began_at + sent / self._bytes_per_second - loop.time())
            if transport.is_closing():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})


def _read_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte that *header* asks for (first > last: none); None for the whole file."""
    match = _RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(size - int(match[2]), 0), size - 1
    if match[2] and int(match[2]) < int(match[1]):
        return None
    return int(match[1]), min(int(match[2] or size), size - 1)
