"""Sums and groups over the whole campaign, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.assets import AssetState
from openeo_jobs.jobs import Backend, HookStatus, Outcome, ResultsStatus, Runner, is_complete
from openeo_jobs.status import FAILED, JobStatus
from openeo_jobs.storage.accounts import select_backends, select_paused
from openeo_jobs.storage.assets import select_expiring
from openeo_jobs.storage.cancellations import is_canceling
from openeo_jobs.storage.claims import count_held
from openeo_jobs.storage.costs import Costs, sum_costs
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.hooks import count_by_hook, has_failed, is_hook_awaited
from openeo_jobs.storage.logins import Stranded, select_stranded
from openeo_jobs.storage.orphans import Orphan, select_open
from openeo_jobs.storage.rows import runner_from
from openeo_jobs.storage.runners import find_open, is_run
from openeo_jobs.storage.schema import asset, attempt, backend, batch_job, campaign, job, runner


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failed rows with the same normalised message; `message` is an example of it."""

    key: str
    error_class: str
    message: str
    rows: tuple[int, ...]
    by_backend: dict[str, int]
    first_at: datetime
    last_at: datetime
    http_status: int | None
    costs: dict[str, float]
    """By currency; "" where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendReport:
    """One backend: its cap and pause, and how many rows are in which status there."""

    backend: Backend
    by_status: dict[JobStatus, int]
    slots_held: int
    rows: int
    complete: int
    failed: int
    attempts: int
    mean_run_seconds: float | None
    paused_accounts: Sequence[Backend] = ()
    """As those accounts find it that are paused, where several are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The campaign at one glance. Rows with a `user_status` are counted under it, and nowhere else."""

    uid: str
    created_at: datetime
    rows: int
    by_status: dict[JobStatus, int]
    by_results: dict[ResultsStatus, int]
    by_user_status: dict[str, int]
    by_hook: dict[HookStatus, int]
    backends: list[BackendReport]
    costs: list[Costs]
    runner: Runner | None
    """The one that began last."""
    runners: list[Runner]
    """Those that have not ended, as far as is known."""
    unsettled: int
    needs_person: list[tuple[int, str]]
    hook_errors: list[tuple[int, str]]
    download_errors: list[tuple[int, str]]
    assets: int
    assets_size: int
    orphans: list[Orphan]
    stranded: list[Stranded]
    canceling: int = 0
    """Rows that are to be canceled, and are not yet."""
    cancel_errors: list[tuple[int, str]] = field(default_factory=list)
    expiring: list[tuple[int, datetime]] = field(default_factory=list)
    """Rows whose results are not here, and when their backends delete them, as far as these say."""


class Reports:
    """What `status`, `failures` and the summary of a run show."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def overview(self) -> Overview | None:
        """Return the campaign at one glance; None while the database holds none."""
        with self._database.reading() as connection:
            head = connection.execute(sa.select(campaign.c.uid, campaign.c.created_at)).first()
            if head is None:
                return None
            free = job.c.user_status.is_(None)
            by_status = _counts(connection, job.c.status, free)
            by_results = _counts(connection, job.c.results_status, free, job.c.status == JobStatus.FINISHED)
            by_user_status = _counts(connection, job.c.user_status, ~free)
            assets, assets_size = _files(connection)
            last = connection.execute(_LATEST_RUN).first()
            return Overview(
                uid=head.uid,
                created_at=head.created_at,
                rows=sum(by_status.values()) + sum(by_user_status.values()),
                by_status={JobStatus(word): count for word, count in by_status.items()},
                by_results={ResultsStatus(word): n for word, n in by_results.items() if word is not None},
                by_user_status=by_user_status,
                by_hook=count_by_hook(connection),
                backends=_backends(connection),
                costs=sum_costs(connection),
                runner=runner_from(last) if last else None,
                runners=find_open(connection),
                unsettled=_unsettled(connection),
                needs_person=_waiting(connection),
                hook_errors=_texts(connection, attempt.c.hook_error, has_failed()),
                download_errors=_texts(
                    connection, job.c.results_error, job.c.results_status == ResultsStatus.FAILED
                ),
                assets=assets,
                assets_size=assets_size,
                orphans=select_open(connection),
                stranded=select_stranded(connection),
                expiring=select_expiring(connection),
                canceling=sum(_counts(connection, job.c.status, is_canceling()).values()),
                cancel_errors=_texts(
                    connection, attempt.c.cancel_error, is_canceling() & attempt.c.cancel_error.is_not(None)
                ),
            )

    def waiting(self) -> list[tuple[int, str]]:
        """Return the rows that wait for a person, and why."""
        with self._database.reading() as connection:
            return _waiting(connection)

    def failures(self) -> list[FailureGroup]:
        """Return the groups of failed rows, the largest first; groups of one size by their first row."""
        select = (
            sa.select(
                *(job.c.id, backend.c.name, attempt.c.failure_key, attempt.c.error_class),
                *(attempt.c.error_message, attempt.c.error_at, attempt.c.error_http_status),
                *(attempt.c.costs, attempt.c.currency, job.c.status, job.c.status_since),
            )
            .select_from(job)
            .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
            .outerjoin(backend, backend.c.id == attempt.c.backend_id)
            .where(job.c.status.in_(sorted(FAILED)))
            .order_by(job.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
        groups: dict[tuple[str, str], list[Any]] = {}
        for row in rows:
            groups.setdefault((row.failure_key or "", row.error_class or row.status), []).append(row)
        ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[1][0].id))
        return [_group(key, error_class, members) for (key, error_class), members in ordered]


def _group(key: str, error_class: str, members: list[Any]) -> FailureGroup:
    times = [row.error_at or row.status_since for row in members]
    costs: Counter[str] = Counter()
    for row in members:
        if row.costs is not None:
            costs[row.currency or ""] += row.costs
    return FailureGroup(
        key=key,
        error_class=error_class,
        message=members[0].error_message or "(the reason is not known yet)",
        rows=tuple(row.id for row in members),
        by_backend=dict(Counter(row.name or "-" for row in members)),
        first_at=min(times),
        last_at=max(times),
        http_status=members[0].error_http_status,
        costs=dict(costs),
    )


def _counts(
    connection: sa.Connection, column: sa.Column[Any], *conditions: sa.ColumnElement[bool]
) -> dict[Any, int]:
    rows = connection.execute(sa.select(column, sa.func.count()).where(*conditions).group_by(column))
    return {row[0]: row[1] for row in rows}


def _texts(
    connection: sa.Connection, column: sa.Column[Any], condition: sa.ColumnElement[bool]
) -> list[tuple[int, str]]:
    select = (
        sa.select(job.c.id, column)
        .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
        .where(condition)
        .order_by(job.c.id)
    )
    return [(number, text) for number, text in connection.execute(select)]


def _waiting(connection: sa.Connection) -> list[tuple[int, str]]:
    return _texts(connection, job.c.needs_person_reason, job.c.needs_person_since.is_not(None))


_LATEST_RUN = sa.select(runner).where(is_run()).order_by(runner.c.id.desc()).limit(1)


def _files(connection: sa.Connection) -> tuple[int, int]:
    """Count the files of results that are here, and their bytes."""
    here = sa.select(sa.func.count(asset.c.id), sa.func.total(asset.c.size))
    row = connection.execute(here.where(asset.c.state == AssetState.DOWNLOADED)).one()
    return int(row[0]), int(row[1])


def _unsettled(connection: sa.Connection) -> int:
    """Count the rows with a create request that got no clear answer, and that no person settles."""
    return int(
        connection.execute(
            sa.select(sa.func.count(sa.distinct(job.c.id)))
            .join(batch_job, batch_job.c.attempt_id == job.c.attempt_id)
            .where(job.c.status == JobStatus.SUBMITTING, job.c.needs_person_since.is_(None))
            .where(batch_job.c.outcome == Outcome.UNKNOWN, batch_job.c.ended_at.is_not(None))
        ).scalar_one()
    )


def _backends(connection: sa.Connection) -> list[BackendReport]:
    backends, paused = select_backends(connection), select_paused(connection)
    rows = connection.execute(
        sa.select(backend.c.name, job.c.status, job.c.results_status, is_hook_awaited(), sa.func.count())
        .select_from(job)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .join(backend, backend.c.id == attempt.c.backend_id)
        .group_by(backend.c.name, job.c.status, job.c.results_status, is_hook_awaited())
    ).all()
    runs = connection.execute(
        sa.select(backend.c.name, sa.func.count(), sa.func.avg(_run_seconds()))
        .select_from(attempt)
        .join(backend, backend.c.id == attempt.c.backend_id)
        .group_by(backend.c.name)
    ).all()
    by_name = {name: (count, mean) for name, count, mean in runs}
    held = count_held(connection)
    return [
        _backend_report(
            one,
            paused.get(one.name, ()),
            [row[1:] for row in rows if row[0] == one.name],
            held.get(one.name, 0),
            *by_name.get(one.name, (0, None)),
        )
        for one in backends
    ]


def _run_seconds() -> sa.ColumnElement[float]:
    """Return how long an attempt ran: as its backend says, else as we saw it."""
    usage = attempt.c.usage
    ended, began = sa.func.julianday(attempt.c.ended_at), sa.func.julianday(attempt.c.running_start_time)
    told = sa.func.json_extract(usage, "$.duration.value")
    return sa.case(
        (sa.func.json_extract(usage, "$.duration.unit").in_(["seconds", "second", "s"]), told),
        else_=(ended - began) * 86400,
    )


def _backend_report(
    one: Backend,
    paused_accounts: Sequence[Backend],
    rows: Sequence[Any],
    slots_held: int,
    attempts: int,
    mean_run_seconds: float | None,
) -> BackendReport:
    by_status: Counter[JobStatus] = Counter()
    complete = 0
    for status, results, is_awaited, count in rows:
        by_status[JobStatus(status)] += count
        complete += count if is_complete(JobStatus(status), results) and not is_awaited else 0
    return BackendReport(
        backend=one,
        paused_accounts=paused_accounts,
        by_status=dict(by_status),
        slots_held=slots_held,
        rows=sum(by_status.values()),
        complete=complete,
        failed=sum(by_status[status] for status in FAILED),
        attempts=attempts,
        mean_run_seconds=mean_run_seconds,
    )
