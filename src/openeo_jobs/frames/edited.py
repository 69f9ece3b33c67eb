"""An edited mirror, held against what the campaign would write there; rows are matched by their cells."""

from __future__ import annotations

import io
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas as pd

from openeo_jobs.errors import MirrorError
from openeo_jobs.frames.files import is_parquet, read_campaign_file
from openeo_jobs.frames.matching import match, plain_text
from openeo_jobs.frames.names import OUTPUT_COLUMNS
from openeo_jobs.frames.output import csv_bytes
from openeo_jobs.jobs import Campaign, Job
from openeo_jobs.tables import EditedRow

_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What an edited mirror says: the rows that are the campaign's, in its order, and what is not."""

    rows: tuple[EditedRow, ...]
    problems: tuple[str, ...]
    """In words: columns of somebody's own, lines that are no row of the campaign, rows that are missing."""

    @property
    def is_of_another(self) -> bool:
        """Say whether none of the lines is a row of the campaign."""
        return not self.rows


def read_edited_file(path: Path, campaign: Campaign, jobs: Sequence[Job]) -> Edited:
    """Read a file that was edited, and find its rows among *jobs* (see `compare_edited`)."""
    frame = read_campaign_file(path)  # says what is wrong with a file that is torn, or something else
    content = _as_csv(frame) if is_parquet(path) else path.read_bytes()
    return compare_edited(_read_texts(content), campaign, jobs, what=str(path))


def compare_edited_frame(
    frame: pd.DataFrame, campaign: Campaign, jobs: Sequence[Job], *, what: str
) -> Edited:
    """Find the rows of a frame that shows a campaign among *jobs* (see `compare_edited`)."""
    return compare_edited(_read_texts(_as_csv(frame)), campaign, jobs, what=what)


def compare_edited(found: pd.DataFrame, campaign: Campaign, jobs: Sequence[Job], *, what: str) -> Edited:
    """Find the rows of an edited mirror by the user's columns, never by position.

    Cells are compared as text, numbers to 12 digits, so that a file may have been read and written again by
    pandas or a spreadsheet. Rows that are alike are told apart by `id`, else by `status`, else by order.
    """
    own = [column.name for column in campaign.columns]
    missing = [name for name in (*own, "status") if name not in found.columns]
    if missing:
        raise MirrorError(
            f"{what} was edited, and has no column {', '.join(map(repr, missing))} any more; put it back, or "
            "move it aside: it is written anew from the database"
        )
    found = found[[any(map(str.strip, line)) for line in found.itertuples(index=False)]]
    expected = _read_texts(csv_bytes(campaign, jobs))
    documented = [name for name in OUTPUT_COLUMNS if name in found.columns and name not in own]
    before = expected[documented].to_dict("records")
    after = found[documented].to_dict("records")
    places = match(_passes(found, expected, own, after, before), len(found))
    rows, problems = [], [*_find_new_columns(found, expected)]
    plain = _plain_keys(found, own)
    for i, (place, cells, key) in enumerate(zip(places, after, plain, strict=True)):
        line = int(found.index[i])
        if place is None:
            problems.append(f"line {line + 2} is no row of the campaign ({shorten(', '.join(key), _SHOWN)})")
            continue
        differing = {n: cell for n, cell in cells.items() if plain_text(cell) != plain_text(before[place][n])}
        texts = {str(n): cell for n, cell in differing.items()}
        rows.append(EditedRow(job=jobs[place], place=line, cells=texts))
    left = sorted(jobs[i].number for i in set(range(len(jobs))) - set(places))
    if left:
        numbers = f"{', '.join(map(str, left[:5]))}{' ...' if left[5:] else ''}"
        problems.append(f"rows {numbers} are not in it; a row of a campaign is never deleted")
    return Edited(rows=tuple(rows), problems=tuple(problems))


def _passes(
    found: pd.DataFrame,
    expected: pd.DataFrame,
    own: Sequence[str],
    after: Sequence[dict[Any, str]],
    before: Sequence[dict[Any, str]],
) -> list[tuple[Any, Any]]:
    """Return the keys to match by: with the id, then, where there is none, with the status, then alone."""
    exact, plain = _exact_keys(found, own), _plain_keys(found, own)
    exact_of, plain_of = _exact_keys(expected, own), _plain_keys(expected, own)
    ids, ids_of = [_id(cells) for cells in after], [_id(cells) for cells in before]
    words, words_of = [cells["status"] for cells in after], [cells["status"] for cells in before]
    named, names = set(ids) - {""}, set(ids_of) - {""}

    def loose(keys: Sequence[Hashable], own_ids: Sequence[str], others: set[str]) -> list[Hashable | None]:
        return [None if one in others else key for key, one in zip(keys, own_ids, strict=True)]

    def with_words(keys: Sequence[Hashable | None], own_words: Sequence[str]) -> list[Hashable | None]:
        return [None if k is None else (k, word) for k, word in zip(keys, own_words, strict=True)]

    def with_ids(keys: Sequence[Hashable], own_ids: Sequence[str]) -> list[Hashable | None]:
        return [(k, one) if one else None for k, one in zip(keys, own_ids, strict=True)]

    loosely = [
        (loose(keys, ids, names), loose(others, ids_of, named))
        for keys, others in ((exact, exact_of), (plain, plain_of))
    ]
    return [
        *((with_ids(k, ids), with_ids(o, ids_of)) for k, o in ((exact, exact_of), (plain, plain_of))),
        *((with_words(k, words), with_words(o, words_of)) for k, o in loosely),
        *loosely,
    ]


def _id(cells: dict[Any, str]) -> str:
    return cells.get("id", "").strip()


def _find_new_columns(found: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    new = [name for name in found.columns if name not in expected.columns and not name.startswith("Unnamed:")]
    filled = [repr(name) for name in new if found[name].str.strip().ne("").any()]
    return [f"its columns {', '.join(filled)} are not the campaign's"] if filled else []


def _as_csv(frame: pd.DataFrame) -> bytes:
    return pd.DataFrame(frame).to_csv(index=False).encode()


def _read_texts(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def _exact_keys(frame: pd.DataFrame, own: Sequence[str]) -> list[tuple[str, ...]]:
    columns = [frame[name].tolist() for name in own]
    return list(zip(*columns, strict=True)) if columns else [()] * len(frame)


def _plain_keys(frame: pd.DataFrame, own: Sequence[str]) -> list[tuple[str, ...]]:
    columns = []
    for name in own:
        plain = {text: plain_text(text) for text in frame[name].unique()}
        columns.append([plain[text] for text in frame[name]])
    return list(zip(*columns, strict=True)) if columns else [()] * len(frame)
