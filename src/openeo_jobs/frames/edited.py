"""An edited mirror, held against what the campaign would write there; rows are matched by their cells."""

from __future__ import annotations

import io
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import pandas as pd

from openeo_jobs.errors import MirrorError
from openeo_jobs.frames import geometry
from openeo_jobs.frames.files import is_parquet, read_campaign_file
from openeo_jobs.frames.names import OUTPUT_COLUMNS
from openeo_jobs.frames.output import csv_bytes
from openeo_jobs.jobs import Campaign, Job
from openeo_jobs.tables import EditedRow

_MISSING = frozenset({"", "na", "n/a", "#na", "#n/a", "<na>", "null", "none", "nan", "-nan", "nat"})
"""What programs read as nothing, and then write as an empty cell."""
_SHOWN = 80
_DIGITS = 12
"""How many digits of a number have to agree: programs read and write the last ones differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedFile:
    """What an edited mirror says: the rows that are the campaign's, in its order, and what is not."""

    rows: tuple[EditedRow, ...]
    problems: tuple[str, ...]
    """Lines that are no row of the campaign, rows that are missing, in words."""


def read_edited(path: Path, campaign: Campaign, jobs: Sequence[Job]) -> EditedFile:
    """Read an edited mirror, and find its rows among *jobs* by the user's columns, never by position.

    Cells are compared as text, numbers to 12 digits, so that a file may have been read and written again by
    pandas or a spreadsheet. Rows that are alike are told apart by `id`, else by their order.
    """
    own = [column.name for column in campaign.columns]
    expected = _read_texts(csv_bytes(campaign, jobs))
    found = _read_texts(_content_as_csv(path))
    missing = [name for name in (*own, "status") if name not in found.columns]
    if missing:
        raise MirrorError(
            f"{path} was edited, and has no column {', '.join(map(repr, missing))} any more; put it back, or "
            "move the file aside: it is written anew from the database"
        )
    documented = [name for name in OUTPUT_COLUMNS if name in found.columns and name not in own]
    return _match(expected, found, own, documented, jobs)


def _match(
    expected: pd.DataFrame,
    found: pd.DataFrame,
    own: Sequence[str],
    documented: Sequence[str],
    jobs: Sequence[Job],
) -> EditedFile:
    waiting: dict[tuple[str, ...], deque[int]] = defaultdict(deque)
    for i, key in enumerate(_keys(expected, own)):
        waiting[key].append(i)
    before = expected[list(documented)].to_dict("records")
    after = found[list(documented)].to_dict("records")
    ids = [cells.get("id") for cells in before]
    rows, problems = [], []
    for line, (key, cells) in enumerate(zip(_keys(found, own), after, strict=True), start=2):
        if not waiting[key]:
            problems.append(f"line {line} is no row of the campaign ({shorten(', '.join(key), _SHOWN)})")
            continue
        place = _take(waiting[key], ids, cells.get("id"))
        differing = {n: cell for n, cell in cells.items() if _plain(cell) != _plain(before[place][n])}
        rows.append(EditedRow(job=jobs[place], cells={str(n): cell for n, cell in differing.items()}))
    left = sorted(jobs[i].number for places in waiting.values() for i in places)
    if left:
        problems.append(f"rows {', '.join(map(str, left[:5]))}{' ...' if left[5:] else ''} are not in it; "
                        "a row of a campaign is never deleted")  # fmt: skip
    return EditedFile(rows=tuple(rows), problems=tuple(problems))


def _take(places: deque[int], ids: Sequence[object], wanted: object) -> int:
    place = next((place for place in places if ids[place] == wanted), places[0])
    places.remove(place)
    return place


def _content_as_csv(path: Path) -> bytes:
    if is_parquet(path):
        return bytes(pd.DataFrame(read_campaign_file(path)).to_csv(index=False).encode())
    read_campaign_file(path)  # says what is wrong with a file that is torn, or something else
    return path.read_bytes()


def _read_texts(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def _keys(frame: pd.DataFrame, own: Sequence[str]) -> list[tuple[str, ...]]:
    columns = []
    for name in own:
        plain = {text: _plain(text) for text in frame[name].unique()}
        columns.append([plain[text] for text in frame[name]])
    return list(zip(*columns, strict=True)) if columns else [()] * len(frame)


def _plain(text: str) -> str:
    """Return a cell as it reads whoever has written it."""
    text = text.strip()
    folded = text.casefold()
    if folded in _MISSING:
        return ""
    if folded in ("true", "false"):
        return folded
    try:
        return f"{float(text):.{_DIGITS}g}"
    except ValueError:
        return geometry.round_wkt(text, _DIGITS) if text.endswith(")") else text
