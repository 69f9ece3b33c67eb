"""What is wrong with a campaign: judged from its database and from what its backends list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from openeo_jobs.jobs import Listing
from openeo_jobs.policy.submission import titles_are_dropped
from openeo_jobs.status import JobStatus

_MOST = 10


class Verdict(StrEnum):
    """What a check came to."""

    FINE = "fine"
    WRONG = "wrong"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    NOT_CHECKED = "not checked"
    """It could not be asked: that it is fine is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check came to. *place* is `database`, `rows`, `files`, or the name of a backend."""

    place: str
    check: str
    verdict: Verdict
    number: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        number = f" {self.number}" if self.number else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.place}: {self.check}:{number} {self.verdict}{detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A campaign, gone through: how much there is of it, and what the checks came to."""

    database: Path
    rows: int
    attempts: int
    batch_jobs: int
    findings: tuple[Finding, ...]

    @property
    def is_wrong(self) -> bool:
        """Whether anything is wrong."""
        return any(finding.verdict is Verdict.WRONG for finding in self.findings)

    @property
    def is_whole(self) -> bool:
        """Whether everything could be checked that can be."""
        unchecked = {finding.check for finding in self.findings if finding.verdict is Verdict.NOT_CHECKED}
        return unchecked <= {_UNKNOWABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the database says of itself. Rows are numbers, of what should not be."""

    rows: int
    attempts: int
    batch_jobs: int
    corruptions: Sequence[str]
    broken_references: int
    misplaced: Sequence[int]
    """Rows at an attempt of another row."""
    shared: Mapping[str, Sequence[int]]
    """Rows that are at the same batch job, by its id."""
    stuck: Sequence[int]
    """Rows that are not over, and that no run would do anything for."""
    waiting: Sequence[int]
    """Rows that wait for a person."""
    unknown: Sequence[int]
    """Rows with a create request of which nobody knows what it created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFacts:
    """What the database says of one backend, and what that lists."""

    name: str
    listing: Listing | None = None
    reason: str = ""
    """Why there is no listing."""
    keeps_titles: bool | None = None
    tagged: int = 0
    """How many listed batch jobs have a tag of the campaign."""
    untagged: int = 0
    """How many create requests had no tag."""
    orphans: Mapping[str, int] = field(default_factory=dict)
    """Rows by batch job id: created for a row that did not choose it."""
    started: frozenset[str] = frozenset()
    """Those of them that `start_job` has asked to start."""
    strays: Mapping[str, int] = field(default_factory=dict)
    """Rows by batch job id: with a tag that the database does not know."""
    active: Mapping[str, int] = field(default_factory=dict)
    """Rows by batch job id: under way."""
    others: int = 0
    """How many attempts are known to be those of other accounts: no listing of this one shows them."""


_DATABASE, _ROWS = "database", "rows"
_UNKNOWABLE = "computed twice in one attempt"


def judge_database(facts: Facts) -> list[Finding]:
    """Judge what the database says of itself."""
    shared = "; ".join(f"{one}: {_list(rows)}" for one, rows in list(facts.shared.items())[:_MOST])
    return [
        _wrong_if(_DATABASE, "file is whole", len(facts.corruptions), "; ".join(facts.corruptions[:3])),
        _wrong_if(_DATABASE, "references lead somewhere", facts.broken_references),
        _wrong_if(_DATABASE, "rows at an attempt of another row", facts.misplaced),
        Finding(
            place=_DATABASE,
            check="batch jobs that several rows chose",
            verdict=Verdict.NOTE if facts.shared else Verdict.FINE,
            number=len(facts.shared) or None,
            detail=shared,
        ),
        _wrong_if(_ROWS, "without a way on", facts.stuck),
        _wrong_if(_ROWS, "that wait for a person", facts.waiting),
        Finding(
            place=_ROWS,
            check="with a create request of unknown outcome",
            verdict=Verdict.NOT_CHECKED if facts.unknown else Verdict.FINE,
            number=len(facts.unknown) or None,
            detail=f"{_list(facts.unknown)}: a run finds it out" if facts.unknown else "",
        ),
        Finding(
            place=_ROWS,
            check=_UNKNOWABLE,
            verdict=Verdict.NOT_CHECKED,
            detail="the openEO API does not tell how often a batch job ran",
        ),
    ]


def judge_backend(facts: BackendFacts) -> list[Finding]:
    """Judge what a backend lists; what it cannot be asked is not checked."""
    if facts.listing is None:
        known = {**facts.orphans, **facts.strays}
        found = [_wrong_if(facts.name, "orphans, as the database knows them", known)] if known else []
        return [*found, _not_checked(facts.name, "what is there", facts.reason)]
    words = {seen.batch_job_id: seen.status for seen in facts.listing.batch_jobs}
    doubt = _find_doubt(facts, facts.listing)
    there = {one: row for one, row in facts.orphans.items() if one in words or not facts.listing.is_complete}
    was_started = {one for one in there if one in facts.started or _was_started(words.get(one))}
    strays = {one: row for one, row in facts.strays.items() if one in words or not facts.listing.is_complete}
    return [
        Finding(
            place=facts.name,
            check="batch jobs with a tag of this campaign",
            verdict=Verdict.NOT_CHECKED if doubt else Verdict.FINE,
            number=facts.tagged,
            detail=doubt,
        ),
        _judge(facts.name, "orphans, never started", _without(there, was_started), doubt),
        _judge(facts.name, "orphans that were started", _only(there, was_started), doubt),
        _judge(facts.name, "unknown to the database", strays, doubt),
        _judge_missing(facts, words, doubt),
        *_judge_untagged(facts),
        *_judge_others(facts),
    ]


def _find_doubt(facts: BackendFacts, listing: Listing) -> str:
    """Say why the listing of a backend proves no absence; "" where it does."""
    if not listing.is_complete:
        return "its listing is not complete"
    titles = [seen.title for seen in listing.batch_jobs]
    return "it does not return titles" if titles_are_dropped(facts.keeps_titles, titles) else ""


def _was_started(word: str | None) -> bool:
    return word is not None and word != JobStatus.CREATED


def _judge_missing(facts: BackendFacts, words: Mapping[str, str], doubt: str) -> Finding:
    """Note which rows are under way by batch jobs that are not listed: listings lag, a run finds it out."""
    check, missing = "of rows under way, and not listed", _without(facts.active, set(words))
    if doubt:
        return _not_checked(facts.name, check, "")
    verdict = Verdict.NOTE if missing else Verdict.FINE
    number = len(missing) or None
    return Finding(place=facts.name, check=check, verdict=verdict, number=number, detail=_list_ids(missing))


def _judge_untagged(facts: BackendFacts) -> list[Finding]:
    if not facts.untagged:
        return []
    reason = f"{facts.untagged} create requests had no tag, so that nothing tells their duplicates"
    return [_not_checked(facts.name, "orphans without a tag", reason)]


def _judge_others(facts: BackendFacts) -> list[Finding]:
    if not facts.others:
        return []
    return [
        Finding(
            place=facts.name,
            check="attempts of other accounts",
            verdict=Verdict.NOT_CHECKED,
            number=facts.others,
            detail="the backend shows their batch jobs to nobody else",
        )
    ]


def _judge(place: str, check: str, rows: Mapping[str, int], doubt: str) -> Finding:
    """Judge what should not be there: what is found is wrong; in doubt, what is not found may be there."""
    return _wrong_if(place, check, rows) if rows or not doubt else _not_checked(place, check, "")


def _not_checked(place: str, check: str, reason: str) -> Finding:
    return Finding(place=place, check=check, verdict=Verdict.NOT_CHECKED, detail=reason)


def _wrong_if(
    place: str, check: str, found: int | Sequence[int] | Mapping[str, int], detail: str = ""
) -> Finding:
    number = found if isinstance(found, int) else len(found)
    if isinstance(found, Mapping):
        detail = _list_ids(found)
    elif not isinstance(found, int) and found:
        detail = _list(found)
    verdict = Verdict.WRONG if number else Verdict.FINE
    return Finding(place=place, check=check, verdict=verdict, number=number or None, detail=detail)


def _list(rows: Sequence[int]) -> str:
    more = ", ..." if len(rows) > _MOST else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:_MOST]))}{more}"


def _list_ids(rows: Mapping[str, int]) -> str:
    shown = ", ".join(f"{one} (row {row})" for one, row in list(rows.items())[:_MOST])
    return shown + (", ..." if len(rows) > _MOST else "")


def _without(rows: Mapping[str, int], ids: set[str]) -> dict[str, int]:
    return {one: row for one, row in rows.items() if one not in ids}


def _only(rows: Mapping[str, int], ids: set[str]) -> dict[str, int]:
    return {one: row for one, row in rows.items() if one in ids}
