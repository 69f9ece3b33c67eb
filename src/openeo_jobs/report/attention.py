"""What needs a person: failed rows, rows and backends that wait, hooks and downloads that did not work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from openeo_jobs.jobs import Backend
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import count, format_instant, list_rows, wrap
from openeo_jobs.report.progress import count_failed
from openeo_jobs.storage.reports import Overview

_MOST = 5
_WIDTH = 76
_SOON = timedelta(days=7)


def list_needs(overview: Overview, *, groups: int, commands: Commands, now: datetime) -> list[str]:
    """Return what needs a person, numbered; nothing where nothing does. *groups*: of failed rows."""
    needs = [
        *_failed(overview, groups, commands),
        *(_waiting(rows, reason, overview, commands) for rows, reason in _by_text(overview.needs_person)),
        *_orphans(overview, commands),
        *(wrap(stranded.describe(), width=_WIDTH) for stranded in overview.stranded),
        *(_tripped(backends, commands, now) for backends in _by_fuse(overview)),
        *(_paused(report.backend, now) for report in overview.backends if report.backend.paused_class),
        *(
            _paused(one, now, whose=f" for account {one.paused_account}")
            for report in overview.backends
            for one in report.paused_accounts
        ),
        *(_refusal(rows, text) for rows, text in _by_text(overview.cancel_errors)),
        *(_hook(rows, text, commands) for rows, text in _by_text(overview.hook_errors)),
        *(_download(rows, text) for rows, text in _by_text(overview.download_errors)),
        *_expiring(overview, commands, now),
    ]
    return [line for number, lines in enumerate(needs, start=1) for line in _number(number, lines)]


def _failed(overview: Overview, groups: int, commands: Commands) -> Iterable[list[str]]:
    failed = count_failed(overview)
    if failed:
        text = f"{count(failed, 'failed row')} in {count(groups, 'group')}"
        yield _with_command(text, commands.failures())


def _waiting(rows: list[int], reason: str, overview: Overview, commands: Commands) -> list[str]:
    """Say why rows wait, and what to type: the batch job that exists is theirs, or a new attempt begins."""
    options = [word for row in rows[:_MOST] for word in ("--row", row)]
    verb = "waits" if len(rows) == 1 else "wait"
    known = {one.row: one.batch_job_id for one in reversed(overview.orphans)}
    forgotten = {one.row for one in overview.orphans if one.found_at is not None}
    if len(rows) > 1 and forgotten >= set(rows):
        adopt = commands.adopt("--all")
    else:
        adopt = commands.adopt("--row", rows[0], "--id", known.get(rows[0], "BATCH_JOB_ID"))
    return [
        *wrap(f"{list_rows(rows, most=_MOST)} {verb} for you: {reason}", width=_WIDTH),
        "Adopt the batch job that exists, or begin a new attempt beside it:",
        f"> {adopt}",
        f"> {commands.retry(*options)}",
    ]


def _orphans(overview: Overview, commands: Commands) -> Iterable[list[str]]:
    waiting = {row for row, _ in overview.needs_person}
    number = sum(one.row not in waiting for one in overview.orphans)
    if number:
        yield _with_command(f"{count(number, 'orphan')}: batch jobs that no row uses", commands.orphans())


def _by_fuse(overview: Overview) -> list[list[Backend]]:
    """Gather the backends whose fuse has tripped for one reason."""
    tripped: dict[str, list[Backend]] = {}
    for report in overview.backends:
        if report.backend.fuse_reason:
            tripped.setdefault(report.backend.fuse_reason, []).append(report.backend)
    return list(tripped.values())


def _tripped(backends: list[Backend], commands: Commands, now: datetime) -> list[str]:
    since = format_instant(backends[0].fuse_since, now=now) if backends[0].fuse_since else "now"
    names = ", ".join(backend.name for backend in backends)
    text = f"{names}: nothing new is created since {since}: {backends[0].fuse_reason}"
    return [*wrap(text, width=_WIDTH), f"> {commands.failures()}"]


def _paused(backend: Backend, now: datetime, *, whose: str = "") -> list[str]:
    since = f" since {format_instant(backend.paused_since, now=now)}" if backend.paused_since else ""
    again = f"; tried again {format_instant(backend.retry_at, now=now)}" if backend.retry_at else ""
    text = f"{backend.name} paused{whose}{since}{again}; its rows wait, none fails: {backend.paused_reason}"
    return [*wrap(text, width=_WIDTH), *([f"> {backend.paused_remedy}"] if backend.paused_remedy else [])]


def _refusal(rows: list[int], text: str) -> list[str]:
    return wrap(f"{list_rows(rows)}: not canceled yet, a run asks again: {text}", width=_WIDTH)


def _hook(rows: list[int], text: str, commands: Commands) -> list[str]:
    text = f"{list_rows(rows)}: the hook failed, the next run calls it again: {text}"
    return [*wrap(text, width=_WIDTH), f"> {commands.retry('--hooks')}"]


def _expiring(overview: Overview, commands: Commands, now: datetime) -> Iterable[list[str]]:
    """Say which results are not here, though their backends delete them soon."""
    soon = [(row, at) for row, at in overview.expiring if at <= now + _SOON]
    if soon:
        first = format_instant(min(at for _, at in soon), now=now)
        rows = list_rows(row for row, _ in soon)
        text = f"{rows}: results are not here, and their backend deletes them, the first {first}"
        yield [*wrap(text, width=_WIDTH), f"> {commands.download()}"]


def _download(rows: list[int], text: str) -> list[str]:
    return wrap(f"{list_rows(rows)}: results not downloaded, the next run tries again: {text}", width=_WIDTH)


def _by_text(texts: Sequence[tuple[int, str]]) -> list[tuple[list[int], str]]:
    """Gather the rows of which the same is said."""
    rows: dict[str, list[int]] = {}
    for row, text in texts:
        rows.setdefault(text, []).append(row)
    return [(numbers, text) for text, numbers in rows.items()]


def _with_command(text: str, command: str) -> list[str]:
    line = f"{text:<38} {command}"
    return [line] if len(line) <= _WIDTH else [text, f"> {command}"]


def _number(number: int, lines: list[str]) -> list[str]:
    return [f" {' ' if index else number}  {line}" for index, line in enumerate(lines)]
