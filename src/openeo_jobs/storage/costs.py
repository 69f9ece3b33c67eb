"""Costs of every attempt: their sums, and those that were not known yet when a batch job ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.status import ENDED
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.logins import is_within_reach
from openeo_jobs.storage.runners import is_free_or_of
from openeo_jobs.storage.schema import attempt, backend, batch_job, job


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the attempts on one backend cost, in one currency."""

    backend_name: str
    currency: str | None
    attempts: int
    rows: int
    total: float
    failed: float
    unknown: int
    """How many attempts have ended without their costs being known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """An attempt that has ended with costs unknown; *tries*: how often they were asked for since."""

    attempt_id: int
    backend_name: str
    batch_job_id: str
    ended_at: datetime
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a backend said of costs when it was asked again; *again_at*: when it is asked once more."""

    unpriced: Unpriced
    costs: float | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    again_at: datetime | None = None


class LateCosts:
    """Columns `costs`, `usage` and `costs_not_before` of attempts that have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(
        self, backend_names: Collection[str], *, runner_id: int, at: datetime, limit: int
    ) -> list[Unpriced]:
        """Return up to *limit* attempts whose costs are to be asked for now, superseded ones included.

        Those of rows that another live runner acts on are its business, those of other accounts are theirs.
        """
        select = (
            sa.select(
                *(attempt.c.id, backend.c.name, batch_job.c.batch_job_id),
                *(attempt.c.ended_at, attempt.c.costs_tries),
            )
            .join(job, job.c.id == attempt.c.job_id)
            .join(backend, backend.c.id == attempt.c.backend_id)
            .join(batch_job, batch_job.c.id == attempt.c.chosen_id)
            .where(attempt.c.costs_not_before <= at, attempt.c.costs.is_(None))
            .where(attempt.c.ended_at.is_not(None), batch_job.c.batch_job_id.is_not(None))
            .where(batch_job.c.settled_at.is_(None))  # what was deleted cannot be asked for
            .where(
                backend.c.name.in_(list(backend_names)), is_free_or_of(runner_id), is_within_reach(runner_id)
            )
            .order_by(attempt.c.costs_not_before, attempt.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
        return [
            Unpriced(attempt_id=one, backend_name=name, batch_job_id=its_id, ended_at=ended_at, tries=tries)
            for one, name, its_id, ended_at, tries in rows
        ]

    def record(self, answers: Sequence[Answer]) -> None:
        """Store what backends said; costs that are known by now stay as they are."""
        with self._database.writing() as connection:
            for answer in answers:
                _record(connection, answer)

    def record_last(self, attempt_ids: Sequence[int], costs: float, usage: Mapping[str, Any]) -> None:
        """Store the last that a backend says of a batch job; costs that are known stay as they are."""
        values: dict[str, Any] = {"costs": costs, "currency": _CURRENCY, "costs_not_before": None}
        if usage:
            values["usage"] = dict(usage)
        its = sa.and_(attempt.c.id.in_(attempt_ids), attempt.c.costs.is_(None))
        with self._database.writing() as connection:
            connection.execute(sa.update(attempt).where(its).values(values))


def sum_costs(connection: sa.Connection) -> list[Costs]:
    """Return what all attempts cost, by backend and currency, in the order of the backends."""
    failed = sa.case((attempt.c.error_class.is_not(None), attempt.c.costs))
    is_unknown = sa.and_(
        *(attempt.c.costs.is_(None), attempt.c.ended_at.is_not(None), attempt.c.chosen_id.is_not(None)),
        attempt.c.backend_status.in_(sorted(ENDED)),
    )
    currency = sa.case((attempt.c.costs.is_(None), backend.c.currency), else_=attempt.c.currency)
    rows = connection.execute(
        sa.select(
            *(
                backend.c.name,
                currency.label("its_currency"),
                sa.func.count(attempt.c.costs),
                sa.func.count(sa.distinct(sa.case((attempt.c.costs.is_not(None), attempt.c.job_id)))),
            ),
            *(sa.func.total(attempt.c.costs), sa.func.total(failed), sa.func.total(is_unknown)),
        )
        .select_from(attempt)
        .join(backend, backend.c.id == attempt.c.backend_id)
        .where(sa.or_(attempt.c.costs.is_not(None), is_unknown))
        .group_by(backend.c.name, "its_currency")
        .order_by(backend.c.id)
    ).all()
    return [
        Costs(
            backend_name=name,
            currency=currency,
            attempts=attempts,
            rows=n,
            total=total,
            failed=lost,
            unknown=int(unknown),
        )
        for name, currency, attempts, n, total, lost, unknown in rows
    ]


_CURRENCY = sa.select(backend.c.currency).where(backend.c.id == attempt.c.backend_id).scalar_subquery()


def _record(connection: sa.Connection, answer: Answer) -> None:
    values: dict[str, Any] = {
        "costs_tries": answer.unpriced.tries + 1,
        "costs_not_before": answer.again_at,
    }
    if answer.costs is not None:
        values |= {"costs": answer.costs, "currency": _CURRENCY}
    if answer.usage:
        values["usage"] = dict(answer.usage)
    is_unknown = attempt.c.costs.is_(None)
    update = sa.update(attempt).where(attempt.c.id == answer.unpriced.attempt_id, is_unknown)
    connection.execute(update.values(values))
