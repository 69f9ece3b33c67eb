"""Which rows of a frame are which rows of a campaign: by what tells most first, each taken once."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence

from openeo_jobs.frames import geometry
from openeo_jobs.frames.values import Json

_DIGITS = 12
"""How many digits of a number have to agree: programs read and write the last ones differently."""
_DECIMALS = 9
"""How many decimals of a coordinate have to agree."""
_MISSING = frozenset({"", "na", "n/a", "#na", "#n/a", "<na>", "null", "none", "nan", "-nan", "nat"})
"""What programs read as nothing, and then write as an empty cell."""

Keys = Sequence[Hashable | None]


def match(passes: Iterable[tuple[Keys, Keys]], number: int) -> list[int | None]:
    """Return, for each of *number* rows, the place of its counterpart; None: it has none.

    A pass has the keys of the rows and those of the counterparts; None matches nothing. What one pass has
    found is out of the next; of several that are equal, the first is taken first.
    """
    found: list[int | None] = [None] * number
    taken: set[int] = set()
    for keys, others in passes:
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for place, other in enumerate(others):
            if other is not None and place not in taken:
                waiting[other].append(place)
        for row, key in enumerate(keys):
            if found[row] is None and key is not None and waiting[key]:
                place = waiting[key].popleft()
                found[row] = place
                taken.add(place)
    return found


def is_missing_text(cell: object) -> bool:
    """Say whether a cell is text that programs read as nothing."""
    return isinstance(cell, str) and cell.strip().casefold() in _MISSING


def plain_text(text: str) -> str:
    """Return a cell of a file as it reads whoever has written it."""
    text = text.strip()
    folded = text.casefold()
    if folded in _MISSING:
        return ""
    if folded in ("true", "false"):
        return folded
    try:
        return f"{float(text):.{_DIGITS}g}"
    except ValueError:
        return geometry.round_wkt(text, _DECIMALS) if text.endswith(")") else text


def plain_cell(cell: Json) -> Hashable:
    """Return a stored cell as it is after a file has held it: numbers less exact, nothing where it is NA."""
    if isinstance(cell, dict) and "$" in cell:
        text = cell.get("text")
        return "" if text is None else plain_text(str(text))
    if isinstance(cell, str):
        return "" if is_missing_text(cell) else cell.strip()
    if isinstance(cell, float):
        return f"{cell:.{_DIGITS}g}"
    return "" if cell is None else str(cell)
