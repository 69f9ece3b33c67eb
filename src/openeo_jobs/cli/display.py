"""A display that changes in place on a terminal; elsewhere a plain line now and then."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.text import Text

from openeo_jobs.cli.console import Highlights, make_console, tell

_PLAIN_EVERY_SECONDS = 5.0


class Display:
    """Shows lines that change below lines that stay."""

    def __init__(self) -> None:
        is_terminal = sys.stdout.isatty()
        self._live = Live(console=make_console(), auto_refresh=False, transient=True) if is_terminal else None
        self._plain_at = 0.0

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
                tell([line])
            else:
                self._live.console.print(line)

    def show(self, lines: Sequence[str], *, seconds: float) -> None:
        """Show what is true after so many *seconds*; the last line is the most important one."""
        if self._live is not None:
            self._live.update(_style(lines), refresh=True)
        elif seconds >= self._plain_at + _PLAIN_EVERY_SECONDS:
            self._plain_at = seconds
            tell([lines[-1]])


def _style(lines: Sequence[str]) -> Text:
    text = Text("\n".join(lines), no_wrap=True)
    Highlights().highlight(text)
    return text
