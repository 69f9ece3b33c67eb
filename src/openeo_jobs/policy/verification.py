"""Whether the files of complete rows are here, as they were left: what was found, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from openeo_jobs.assets import Asset
from openeo_jobs.policy.audit import Finding, Verdict

FILES = "files"
"""The place of these findings."""
_MOST = 5


class Flaw(StrEnum):
    """What is wrong with the files of a row, or could not be looked at."""

    MISSING = "rows whose files are missing"
    SIZE = "rows with files of another size"
    CHECKSUM = "rows with files of another checksum"
    DOCUMENT = "rows without their job-results.json"
    UNKNOWN = "rows of which no files are known"
    NO_CHECKSUM = "rows with files of unknown checksum"
    UNREADABLE = "rows whose files cannot be read"


UNCHECKED = {
    Flaw.UNKNOWN: "their hook (on_job_done) has fetched them, or nothing was downloaded",
    Flaw.NO_CHECKSUM: "they were fetched before checksums were kept; their sizes are right, if known",
    Flaw.UNREADABLE: "",
}
"""What says that something was not looked at, and why; nothing is known to be wrong."""

_FETCHED_AGAIN = "start the script again: it fetches them, unless its own on_job_done does that"
_REMEDIES = {
    Flaw.MISSING: _FETCHED_AGAIN,
    Flaw.SIZE: _FETCHED_AGAIN,
    Flaw.DOCUMENT: _FETCHED_AGAIN,
    Flaw.CHECKSUM: f"a run compares sizes only, so delete these files first; then {_FETCHED_AGAIN}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteRow:
    """A row that is complete, with those of its files that are known to be on disk."""

    number: int
    attempt_id: int
    assets: tuple[Asset, ...]
    is_wanted: bool
    """Whether files of it are wanted on disk, as far as is known."""
    deleted_at: datetime | None = None
    """When its batch job was deleted on its backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found of the files of a row: each flaw with a file, None where that is none. Size in bytes."""

    row: CompleteRow
    flaws: tuple[tuple[Flaw, Path | None], ...] = ()
    size: int = 0

    @property
    def is_safe(self) -> bool:
        """Whether its files are here, right by size, and by checksum where that is known."""
        has_sizes = bool(self.row.assets) and all(asset.size is not None for asset in self.row.assets)
        return has_sizes and all(flaw is Flaw.NO_CHECKSUM for flaw, _ in self.flaws)


@dataclass(slots=True)
class _Count:
    rows: int = 0
    gone: int = 0
    """Of them, how many cannot be fetched again."""
    examples: list[str] = field(default_factory=list)


class Tally:
    """Counts what was found of rows, one after the other, and keeps the first few."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._counts = {flaw: _Count() for flaw in Flaw}
        self.rows = self.files = self.size = self.whole = 0

    def add(self, verified: Verified) -> None:
        """Count what was found of a row."""
        self.rows += 1
        self.files += len(verified.row.assets)
        self.size += verified.size
        self.whole += verified.row.is_wanted and not verified.flaws
        for flaw in dict.fromkeys(flaw for flaw, _ in verified.flaws):
            paths = [path for its, path in verified.flaws if its is flaw]
            count = self._counts[flaw]
            count.rows += 1
            count.gone += verified.row.deleted_at is not None
            if len(count.examples) < _MOST:
                count.examples.append(self._describe(verified.row.number, paths))

    def findings(self) -> list[Finding]:
        """Say what it comes to."""
        whole = Finding(
            place=FILES, check="rows whose files are as they were left", verdict=Verdict.FINE,
            number=self.whole,
        )  # fmt: skip
        return [
            whole,
            *(
                self._judge(flaw, count)
                for flaw, count in self._counts.items()
                if count.rows or flaw not in UNCHECKED
            ),
        ]

    def _judge(self, flaw: Flaw, count: _Count) -> Finding:
        if not count.rows:
            return Finding(place=FILES, check=flaw, verdict=Verdict.FINE)
        more = ", ..." if count.rows > len(count.examples) else ""
        examples = f"{', '.join(count.examples)}{more}"
        if flaw in UNCHECKED:
            detail = "; ".join(filter(None, (examples, UNCHECKED[flaw])))
            return Finding(
                place=FILES, check=flaw, verdict=Verdict.NOT_CHECKED, number=count.rows, detail=detail
            )
        detail = f"{examples}; {_REMEDIES[flaw]}"
        if count.gone:
            detail += (
                f"; {count.gone} of these rows cannot be fetched again, as openeo-jobs delete-remote has "
                "deleted their batch jobs: take a copy of yours, or compute them anew (openeo-jobs retry)"
            )
        return Finding(place=FILES, check=flaw, verdict=Verdict.WRONG, number=count.rows, detail=detail)

    def _describe(self, row: int, paths: Sequence[Path | None]) -> str:
        known = [path for path in paths if path is not None]
        if not known:
            return f"row {row}"
        first = known[0]
        shown = first.relative_to(self._root) if first.is_relative_to(self._root) else first
        more = f" and {len(known) - 1} more" if len(known) > 1 else ""
        return f"row {row} ({shown}{more})"
