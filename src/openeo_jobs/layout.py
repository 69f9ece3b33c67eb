"""Where the results of each row go, if not to a folder that is named after their batch job."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol

from openeo_jobs.errors import UsageError
from openeo_jobs.frames import decode_cells_of
from openeo_jobs.jobs import Column

_KNOWN_LATER = ("id", "backend_name")
"""Columns that every row has once its batch job is created; the id is no other row's."""

Row = Mapping[str, Any]


class Layout(Protocol):
    """Names folders, below `root_dir` unless they are absolute."""

    def check(self, columns: Sequence[Column], params: Iterable[str]) -> None:
        """Raise unless every row gets a folder of its own; *params* are the stored cells of the rows."""
        ...

    def folder_of(self, row: Any) -> Path:
        """Return the folder of a row, as callbacks get it."""
        ...


def read_layout(output_path: Any) -> Layout | None:
    """Return the layout that was given as a template, a callable, or not at all."""
    if output_path is None:
        return None
    if isinstance(output_path, (str, PurePath)) and str(output_path):
        return Template(str(output_path))
    if callable(output_path):
        return Callback(output_path)
    raise UsageError(
        f'output_path is a template such as "{{tile}}/{{year}}", or a callable that gets the row and returns '
        f"a path, not {output_path!r}"
    )


class Callback:
    """A callable of the user's; what it returns is seen when the results are there."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def check(self, columns: Sequence[Column], params: Iterable[str]) -> None:
        """Do nothing: it may need what the row does not have yet."""

    def folder_of(self, row: Any) -> Path:
        """Call it."""
        return Path(self._function(row))


class Template(string.Formatter):
    """A path with the names of columns in braces, and a format if need be: `"{tile}/{year}-{month:02}"`."""

    def __init__(self, template: str) -> None:
        self._template = template
        try:
            self._names = [name for _, name, _, _ in self.parse(template) if name is not None]
        except ValueError as error:
            raise UsageError(f"output_path={template!r} is no template: {error}") from error
        if not self._names:
            raise UsageError(
                f"output_path={template!r} names no column, so that all rows would share a folder; "
                'for example: output_path="{tile}/{year}"'
            )

    def check(self, columns: Sequence[Column], params: Iterable[str]) -> None:
        """Raise if a column is missing, or two rows would share a folder."""
        names = [column.name for column in columns]
        missing = [name for name in self._names if name not in (*names, *_KNOWN_LATER)]
        if missing:
            raise UsageError(
                f"output_path={self._template!r}: there is no column {', '.join(map(repr, missing))}; "
                f"there are {', '.join(map(repr, (*names, *_KNOWN_LATER)))}"
            )
        rows_by_folder: dict[str, int] = {}
        for number, cells in enumerate(decode_cells_of(columns, params), start=1):
            later = {"id": f"id {number}", "backend_name": "backend"}
            folder = self._folder({**later, **cells}, place=f"row {number}: ")
            first = rows_by_folder.setdefault(_folded(folder), number)
            if first != number:
                raise UsageError(
                    f"output_path={self._template!r}: rows {first} and {number} would share the folder "
                    f"{folder}; add a column in which they differ, or {{id}}"
                )

    def folder_of(self, row: Any) -> Path:
        """Fill in the cells of a row."""
        return self._folder(dict(row), place="")

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        """Look a column up by its whole name, whatever is in it."""
        return kwargs[field_name], field_name

    def _folder(self, values: Row, *, place: str) -> Path:
        empty = [name for name in self._names if values[name] is None or values[name] != values[name]]
        if empty:
            raise UsageError(f"output_path={self._template!r}: {place}column {empty[0]!r} has no value")
        try:
            folder = Path(self.vformat(self._template, (), values))
        except (ValueError, TypeError) as error:
            raise UsageError(f"output_path={self._template!r}: {place}{error}") from error
        if ".." in folder.parts or "\0" in str(folder) or not folder.parts:
            raise UsageError(f"output_path={self._template!r}: {place}{str(folder)!r} is no folder to be in")
        return folder


def _folded(folder: Path) -> str:
    return unicodedata.normalize("NFC", str(folder).casefold())
