"""A display that changes in place on a terminal; elsewhere a plain line now and then."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.text import Text

from openeo_jobs.cli.console import Highlights, make_console


class Display:
    """Shows lines that change below lines that stay, on stdout or, with *is_error*, on stderr.

    They change at most *every_seconds*; where that is no terminal, a line is printed *plain_every_seconds*.
    """

    def __init__(
        self, *, is_error: bool = False, every_seconds: float = 0.0, plain_every_seconds: float = 5.0
    ) -> None:
        stream = sys.stderr if is_error else sys.stdout
        self._console = make_console(is_error=is_error)
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True) if stream.isatty() else None
        )
        self._every_seconds = every_seconds if self._live is not None else plain_every_seconds
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take away the lines that change."""
        if self._live is not None:
            self._live.stop()

    def say(self, lines: Sequence[str]) -> None:
        """Print lines that stay."""
        for line in lines:
            if self._live is None:
                self._console.print(line, soft_wrap=True)
            else:
                self._live.console.print(line)

    def show(self, lines: Sequence[str], *, seconds: float) -> None:
        """Show what is true after so many *seconds*; the last line is the most important one."""
        if seconds < self._shown_at + self._every_seconds:
            return
        self._shown_at = seconds
        if self._live is not None:
            self._live.update(_style(lines), refresh=True)
        else:
            self._console.print(lines[-1], soft_wrap=True)


def _style(lines: Sequence[str]) -> Text:
    text = Text("\n".join(lines), no_wrap=True)
    Highlights().highlight(text)
    return text
