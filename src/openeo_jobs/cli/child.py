"""A Python script in a process of its own, which gets each interruption exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, Self

_PATIENCE_SECONDS = 30.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Child:
    """Runs a script of *folder* while it is entered; SIGINT and SIGTERM are handed on to it.

    It is not in this terminal's group: a Ctrl-C would reach it twice, and the second one means "at once". On
    Windows it is, and gets it from there.
    """

    def __init__(self, script: str, *, folder: Path) -> None:
        self._words = [sys.executable, script]
        self._folder = folder
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed on exit)
        self._process: subprocess.Popen[bytes] | None = None
        self._previous: dict[int, Any] = {}
        self.was_interrupted = False
        self.output = ""
        """What it printed, once it has ended."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            self._words,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=os.name == "posix",
        )
        self._previous = {number: signal.signal(number, self._hand_on) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for its end; one that has to be told, and does not listen, is killed."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if not self.is_over():
            self._interrupt()
            self._wait_or_kill()
        self._file.seek(0)
        self.output = self._file.read().decode(errors="replace")
        self._file.close()

    def is_over(self) -> bool:
        """Say whether it has ended."""
        return self.exit_code is not None

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def _hand_on(self, _number: int, _frame: FrameType | None) -> None:
        self.was_interrupted = True
        self._interrupt()

    def _interrupt(self) -> None:
        if self._process is not None and os.name == "posix":
            self._process.send_signal(signal.SIGINT)

    def _wait_or_kill(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
