"""Stopping: the first signal lets the run end in order, the second leaves now, which is always safe."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopper:
    """Handles SIGINT and SIGTERM while it is entered; in other threads than the main one it does nothing."""

    def __init__(self, stop: Callable[[], None], *, patience_seconds: float) -> None:
        self._stop = stop
        self._patience_seconds = patience_seconds
        self._previous: dict[int, Any] = {}
        self._timer: threading.Timer | None = None
        self._deadline: float | None = None
        self.signal: signal.Signals | None = None
        """The signal that came, if one did."""

    def __enter__(self) -> Stopper:
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Put the handlers back that were there before."""
        self.spare()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def spare(self) -> None:
        """Interrupt no more by itself: user code is over, and what is left has its own bound."""
        if self._timer is not None:
            self._timer.cancel()

    def seconds_left(self) -> float:
        """Return how long the run may still wait for what is under way."""
        if self._deadline is None:
            return self._patience_seconds
        return max(0.0, self._deadline - time.monotonic())

    def raise_signal(self) -> None:
        """Leave as a program leaves that got the signal."""
        if self.signal is signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        self._deadline = time.monotonic() + self._patience_seconds
        self._timer = threading.Timer(self._patience_seconds, _interrupt_main_thread, [number])
        self._timer.daemon = True
        self._timer.start()
        self._stop()


def _interrupt_main_thread(number: int) -> None:
    """Send the signal once more: user code that is still running after all the patience is left."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))
