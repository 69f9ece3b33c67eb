"""Where text goes: results to stdout, everything else to stderr; colours only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.theme import Theme

from openeo_jobs.errors import OpenEOJobsError, UsageError

_THEME = Theme(
    {"bar": "green", "good": "green", "bad": "red", "wait": "yellow", "command": "cyan", "heading": "bold"}
)


class Highlights(RegexHighlighter):
    """What stands out."""

    highlights = (
        r"(?P<bar>[█▏▎▍▌▋▊▉]+)",
        r"(?P<good>\bcomplete\b)",
        r"(?P<bad>\bfailed\b|\bneeds you\b)",
        r"(?P<wait>\bpaused\b|\bis back\b)",
        r"(?P<command>> .+)",
        r"(?m)(?P<heading>^Next:)",
    )


def make_console(*, is_error: bool = False) -> Console:
    """Make the console of this moment's stdout or stderr."""
    stream = sys.stderr if is_error else sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # a pipe on Windows may not know the bar
    return Console(file=stream, theme=_THEME, highlighter=Highlights(), markup=False, emoji=False)


def tell(lines: Iterable[str]) -> None:
    """Print the lines of a result; long ones, such as commands, are left whole."""
    make_console().print("\n".join(lines), soft_wrap=True)


def confirm(verb: str, what: str, *, otherwise: str, command: str | None = None) -> None:
    """Let a person confirm, who sees *what* it is about; raise where nobody can, or does not.

    *otherwise* says what has come of it then, *command* is what to type to be asked nothing.
    """
    if not sys.stdin.isatty():
        how = f"type: {command}" if command else "add --yes"
        raise UsageError(f"this would {verb} {what}. If that is meant, {how}")
    if input(f"{verb.capitalize()} {what}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise OpenEOJobsError(otherwise)


def tell_document(document: dict[str, Any]) -> None:
    """Print a result for programs."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
