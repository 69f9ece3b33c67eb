"""A run in a thread of its own, as notebooks want it: is it alive, what has it done, how did it end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openeo_jobs.tracking.run import Run

log = logging.getLogger("openeo_jobs")


class JobThread:
    """A run in the background; `start_job_thread` returns it.

    The thread is a daemon: an interpreter can always exit, and the next run goes on where this one was.
    """

    def __init__(self, work: Callable[[Callable[[Run], None]], Mapping[str, int]]) -> None:
        """Prepare to do *work*; it is called with a function to tell of its run, once that has begun."""
        self._work = work
        self._run: Run | None = None
        self._has_begun = threading.Event()
        self._exception: BaseException | None = None
        self.thread = threading.Thread(target=self._do_work, name="openeo-jobs run", daemon=True)

    def start(self) -> None:
        """Start the thread; return once its run has begun, or raise why it could not."""
        self.thread.start()
        self._has_begun.wait()
        if self._run is None and self._exception is not None:
            raise self._exception

    @property
    def alive(self) -> bool:
        """Whether the run is still going on."""
        return self.thread.is_alive()

    @property
    def exception(self) -> BaseException | None:
        """What ended the run, None while it goes on and after an end in order."""
        return self._exception

    @property
    def stats(self) -> dict[str, int]:
        """The counters that `run_jobs` returns, so far."""
        return dict(self._run.stats) if self._run is not None else {}

    def wait(self, timeout_seconds: float | None = None) -> dict[str, int]:
        """Wait until the run has ended; return its counters, or raise what ended it.

        Raises `TimeoutError` if it has not ended in time; the run goes on then.
        """
        self.thread.join(timeout_seconds)
        if self.alive:
            raise TimeoutError(f"the run goes on after {timeout_seconds} seconds")
        if self._exception is not None:
            raise self._exception
        return self.stats

    def stop(self, timeout_seconds: float | None = None) -> bool:
        """Let nothing new begin, and wait for the end; return whether it came in time.

        A callback that is under way ends by itself, and what it has created is stored.
        """
        if self._run is not None:
            self._run.stop()
        if threading.current_thread() is not self.thread:
            self.thread.join(timeout_seconds)
        return not self.alive

    def _do_work(self) -> None:
        try:
            self._work(self._begin)
        except BaseException as error:
            self._exception = error
            if self._run is not None:
                log.error("the run in the background has ended: %s: %s", type(error).__name__, error)
        finally:
            self._has_begun.set()

    def _begin(self, run: Run) -> None:
        self._run = run
        self._has_begun.set()
