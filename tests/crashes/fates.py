"""What happens to a process in the middle of its requests: its token expires, it is killed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from zygote import Process

from openeo_jobs.simulator import Simulator

_LOOK_SECONDS = 0.004


@contextmanager
def awaiting(backend: Simulator, fates: list[tuple[int, Callable[[], None]]]) -> Iterator[None]:
    """Let each of *fates* happen once the backend has answered so many requests from now on."""
    over = threading.Event()
    with (backend.folder / "requests.jsonl").open("rb") as log:
        log.seek(0, os.SEEK_END)

        def watch() -> None:
            seen = 0
            for number, happen in sorted(fates, key=lambda fate: fate[0]):
                while seen < number:
                    if over.wait(_LOOK_SECONDS):
                        return
                    seen += log.read().count(b'"method"')
                happen()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def kill(process: Process) -> None:
    """Kill a process, if it is still there."""
    with suppress(ProcessLookupError):
        process.kill()
