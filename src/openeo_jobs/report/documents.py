"""What `--json` prints: stable keys, instants in ISO 8601 (UTC), words as the database stores them.

`status`:

- `database`, `campaign` (its uid), `created_at`, `rows`
- `complete`, `failed`: numbers of rows; `progress`: rows by how far they are, in the words of the screen
- `statuses`, `results`, `user_statuses`: rows by status, by status of their results, by a user's own word
- `unsettled`: rows with a create request whose outcome is unknown
- `files`: `number` and `size` (bytes) of the results on disk
- `backends`: a list of `name`, `url`, `parallel_jobs`, `slots_held`, `statuses`, `rows`, `complete`,
  `failed`, `attempts`, `mean_run_seconds`, `paused` (null, or `reason`, `remedy` (null, or the
  command to type), `class`, `since`, `retry_at`), `paused_accounts` (where several accounts are known: a list
  of the same, each with its `account`),
  `learned_cap` (null, or what it took when it last refused one more), `fuse` (null, or `reason`, `since`)
- `costs`: a list of `backend_name`, `currency`, `total`, `failed` (in failed attempts), `attempts`, `rows`,
  `unknown` (attempts that have ended without their costs being known)
- `runners`: those that are alive, each like `runner`
- `runner`: null before the first run; else the latest one: `is_alive`, `host`, `pid`, `command`, `folder`,
  `started_at`, `last_round_at`, `ended_at`
- `canceling`: the number of rows that are to be canceled, and are not yet
- `needs_person`, `hook_errors` (of hooks that have failed), `download_errors`, `cancel_errors`: lists of
  `row` and `text`
- `expiring`: a list of `row` and `at`: results that are not here, and when their backend deletes them
- `orphans`: a list of `row` and `id` of batch jobs that no row uses (see `orphans --json`)
- `other_accounts`: a list of `backend`, `account` and the number of `rows` that wait for it

`failures`: `database`, `rows`, and `failures`, a list of `number` (for `retry --failure`), `message`,
`key` (the message normalised), `error_class`, `http_status`, `rows` (their numbers), `backends` (rows by
name), `first_at`, `last_at`, `costs` (by currency).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from openeo_jobs.jobs import Backend, Runner
from openeo_jobs.report.progress import count_complete, count_failed, list_stages
from openeo_jobs.storage.costs import Costs
from openeo_jobs.storage.reports import BackendReport, FailureGroup, Overview

Document = dict[str, Any]


def make_status_document(overview: Overview, *, database: Path, alive: Sequence[Runner]) -> Document:
    """Make the document of `status --json`."""
    return {
        "database": str(database),
        "campaign": overview.uid,
        "created_at": _instant(overview.created_at),
        "rows": overview.rows,
        "complete": count_complete(overview),
        "failed": count_failed(overview),
        "progress": {stage.word: stage.rows for stage in list_stages(overview)},
        "statuses": {str(status): rows for status, rows in overview.by_status.items()},
        "results": {str(status): rows for status, rows in overview.by_results.items()},
        "user_statuses": overview.by_user_status,
        "unsettled": overview.unsettled,
        "files": {"number": overview.assets, "size": overview.assets_size},
        "backends": [_backend(report) for report in overview.backends],
        "costs": [_costs(one) for one in overview.costs],
        "runner": _runner(overview.runner, overview.runner in alive) if overview.runner else None,
        "runners": [_runner(one, True) for one in alive],
        "canceling": overview.canceling,
        "cancel_errors": _texts(overview.cancel_errors),
        "needs_person": _texts(overview.needs_person),
        "hook_errors": _texts(overview.hook_errors),
        "download_errors": _texts(overview.download_errors),
        "expiring": [{"row": row, "at": _instant(at)} for row, at in overview.expiring],
        "orphans": [{"row": one.row, "id": one.batch_job_id} for one in overview.orphans],
        "other_accounts": [
            {"backend": one.backend_name, "account": one.account, "rows": one.rows}
            for one in overview.stranded
        ],
    }


def make_failures_document(groups: Sequence[FailureGroup], *, database: Path) -> Document:
    """Make the document of `failures --json`."""
    return {
        "database": str(database),
        "rows": sum(len(group.rows) for group in groups),
        "failures": [_group(number, group) for number, group in enumerate(groups, start=1)],
    }


def _backend(report: BackendReport) -> Document:
    return {
        "name": report.backend.name,
        "url": report.backend.url,
        "parallel_jobs": report.backend.parallel_jobs,
        "slots_held": report.slots_held,
        "statuses": {str(status): rows for status, rows in report.by_status.items()},
        "rows": report.rows,
        "complete": report.complete,
        "failed": report.failed,
        "attempts": report.attempts,
        "mean_run_seconds": report.mean_run_seconds,
        "paused": _pause(report.backend) if report.backend.paused_class else None,
        "paused_accounts": [{"account": one.paused_account, **_pause(one)} for one in report.paused_accounts],
        "learned_cap": report.backend.learned_cap,
        "fuse": _fuse(report.backend) if report.backend.fuse_reason else None,
    }


def _pause(backend: Backend) -> Document:
    return {
        "reason": backend.paused_reason,
        "remedy": backend.paused_remedy,
        "class": str(backend.paused_class),
        "since": _instant(backend.paused_since),
        "retry_at": _instant(backend.retry_at),
    }


def _fuse(backend: Backend) -> Document:
    return {"reason": backend.fuse_reason, "since": _instant(backend.fuse_since)}


def _costs(one: Costs) -> Document:
    return {
        "backend_name": one.backend_name,
        "currency": one.currency,
        "total": round(one.total, 6),
        "failed": round(one.failed, 6),
        "attempts": one.attempts,
        "rows": one.rows,
        "unknown": one.unknown,
    }


def _runner(runner: Runner, is_alive: bool) -> Document:
    return {
        "is_alive": is_alive,
        "host": runner.host,
        "pid": runner.pid,
        "command": runner.command,
        "folder": runner.folder,
        "started_at": _instant(runner.started_at),
        "last_round_at": _instant(runner.last_round_at),
        "ended_at": _instant(runner.ended_at),
    }


def _group(number: int, group: FailureGroup) -> Document:
    return {
        "number": number,
        "message": group.message,
        "key": group.key,
        "error_class": group.error_class,
        "http_status": group.http_status,
        "rows": list(group.rows),
        "backends": group.by_backend,
        "first_at": _instant(group.first_at),
        "last_at": _instant(group.last_at),
        "costs": {currency: round(total, 6) for currency, total in group.costs.items()},
    }


def _texts(texts: Sequence[tuple[int, str]]) -> list[Document]:
    return [{"row": row, "text": text} for row, text in texts]


def _instant(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
