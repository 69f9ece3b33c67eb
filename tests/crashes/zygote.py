"""Campaigns in processes of their own, which can be killed: forked from one that has imported everything.

python zygote.py SOCKET. A connection to the socket is one process: it reads a line of JSON (`Order`), and
answers with a line that names it and one that says how it went, which is missing if it was killed.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Order:
    """A campaign to begin, or to go on with, in *folder*, on the simulator at *url*.

    - `dies_at`: the crash point at which the process kills itself.
    - `changes`: what is changed on purpose: names of functions in `crash_points`.
    - `starts_itself`: `start_job` starts its batch job, and returns it.
    - `is_hooked`: the manager is that of `hooked`, which notes when its hooks are called.
    - `is_stalled`: `start_job` is that of `stale_writes`, which suspends the process; the points of its life
      are what it tried to write then of rows that had another owner.
    """

    folder: str
    url: str
    rows: int = 1
    parallel_jobs: int = 8
    dies_at: str | None = None
    changes: Sequence[str] = ()
    starts_itself: bool = False
    is_hooked: bool = False
    is_stalled: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Life:
    """What became of a process: the points that it passed, or the error that it ended with."""

    was_killed: bool
    points: list[str] = field(default_factory=list)
    error: str | None = None


class Process:
    """A process that carries out an order; a `with` block kills it at its end, if it is still there."""

    def __init__(self, address: str, order: Order) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        self._lines.write(json.dumps(asdict(order)) + "\n")
        self._lines.flush()
        self.pid = int(self._lines.readline())

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._lines.closed:
            with suppress(ProcessLookupError):
                self.kill()
            self.wait()

    def kill(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = 60) -> Life:
        """Wait until it has ended; raises `TimeoutError` if that takes longer."""
        self._socket.settimeout(timeout)
        answer = self._lines.readline()
        self._lines.close()
        self._socket.close()
        return Life(was_killed=False, **json.loads(answer)) if answer else Life(was_killed=True)


@contextmanager
def zygote(folder: Path, **environment: str) -> Iterator[str]:
    """Start the process that forks the others; yield the address at which to ask it to."""
    address = os.path.relpath(folder / "zygote")  # the address of a socket has to be short
    tests = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, __file__, address],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)]),
            "OPENBLAS_NUM_THREADS": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "1 thread\n"
            yield address
        finally:
            process.kill()


def serve(address: str) -> None:
    """Fork a process for every connection."""
    import campaign_of_crashes  # noqa: F401 (in every child already)

    gc.collect()
    gc.freeze()  # what is shared with the children is not looked through by each of them again and again
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    print(threading.active_count(), "thread", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(connection)
            os._exit(0)
        connection.close()


def _answer(connection: socket.socket) -> None:
    from campaign_of_crashes import carry_out

    lines = connection.makefile("rw", encoding="utf-8")
    order = Order(**json.loads(lines.readline()))
    lines.write(f"{os.getpid()}\n")
    lines.flush()
    os.environ.update(order.environment)
    points: list[str] = []
    error = None
    try:
        carry_out(order, points)
    except BaseException:
        error = traceback.format_exc()
    lines.write(json.dumps({"points": points, "error": error}) + "\n")
    lines.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
