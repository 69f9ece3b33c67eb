"""Who is logged in where: which account a runner has on a backend, and which rows it reaches with that."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from openeo_jobs.jobs import Job
from openeo_jobs.status import ACTIVE
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.endings import is_open
from openeo_jobs.storage.runners import is_free
from openeo_jobs.storage.schema import attempt, backend, job, login


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """How many rows of one account on a backend nobody acts on, where others have logins, too."""

    backend_name: str
    account: str
    rows: int

    def describe(self) -> str:
        """Say who has to run the campaign for them."""
        rows = "1 row waits" if self.rows == 1 else f"{self.rows:,} rows wait"
        return (
            f"{rows} for account {self.account} of {self.backend_name}: "
            "nobody else sees their batch jobs; run the script logged in as that"
        )


class Logins:
    """Table `login`. A batch job belongs to the account that created it: for others it does not exist."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, runner_id: int, backend_name: str, account: str | None) -> int:
        """Store as whom a runner is logged in; return of how many rows it is the owner no more.

        These are at batch jobs of the account as which it was logged in before.
        """
        with self._database.writing() as connection:
            backend_id = connection.execute(
                sa.select(backend.c.id).where(backend.c.name == backend_name)
            ).scalar_one()
            its = sa.and_(login.c.runner_id == runner_id, login.c.backend_id == backend_id)
            connection.execute(sa.delete(login).where(its))
            connection.execute(
                sa.insert(login).values(runner_id=runner_id, backend_id=backend_id, account=account)
            )
            foreign = sa.select(attempt.c.id).where(is_foreign(runner_id))
            return connection.execute(
                sa.update(job)
                .where(job.c.owner_id == runner_id, job.c.attempt_id.in_(foreign))
                .values(owner_id=None)
            ).rowcount

    def stranded(self) -> list[Stranded]:
        """Return how many rows wait for a runner of their account, while others have logins, too."""
        with self._database.reading() as connection:
            return select_stranded(connection)

    def may_be_anothers(self, each: Job, runner_id: int) -> bool:
        """Say whether a batch job that the runner does not see may be that of another account.

        It may where nobody knows whose it is, and others than the runner's account are known on its backend.
        """
        its_id = each.attempt.id if each.attempt else None
        others = attempt.alias("others")
        its_own = account_of_owner(runner_id)
        knows_others = sa.or_(
            sa.exists().where(others.c.backend_id == attempt.c.backend_id, others.c.account != its_own),
            _has_login(login.c.account != its_own),
        )
        select = sa.select(attempt.c.id).where(
            attempt.c.id == its_id, attempt.c.account.is_(None), knows_others
        )
        with self._database.reading() as connection:
            return connection.execute(select).first() is not None

    def count_others(self, backend_name: str, account: str) -> int:
        """Count the attempts on a backend that are known to be those of other accounts than this one."""
        select = (
            sa.select(sa.func.count())
            .select_from(attempt)
            .join(backend, backend.c.id == attempt.c.backend_id)
            .where(backend.c.name == backend_name, attempt.c.account != account)
        )
        with self._database.reading() as connection:
            return int(connection.execute(select).scalar_one())


def select_stranded(connection: sa.Connection) -> list[Stranded]:
    """Return how many rows wait for a runner of their account, while others have logins, too."""
    if connection.execute(_SEVERAL_ACCOUNTS).first() is None:
        return []
    select = (
        sa.select(backend.c.name, attempt.c.account, sa.func.count().label("rows"))
        .select_from(job)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .join(backend, backend.c.id == attempt.c.backend_id)
        .where(sa.or_(job.c.status.in_(sorted(ACTIVE)), is_open()), is_free())
        .where(job.c.needs_person_since.is_(None), _has_login(login.c.account != attempt.c.account))
        .group_by(backend.c.name, attempt.c.account)
        .order_by(backend.c.name, attempt.c.account)
    )
    return [
        Stranded(backend_name=row.name, account=row.account, rows=row.rows)
        for row in connection.execute(select)
    ]


_SEVERAL_ACCOUNTS = (
    sa.select(login.c.backend_id)
    .group_by(login.c.backend_id)
    .having(sa.func.count(login.c.account.distinct()) > 1)
)
"""Nearly always there are none, and no row has to be looked at."""


def is_foreign(runner_id: int, attempts: sa.FromClause = attempt) -> sa.ColumnElement[bool]:
    """Return the condition for an attempt that is known to be another account's than the runner's."""
    return _has_login(
        login.c.runner_id == runner_id, login.c.account != attempts.c.account, attempts=attempts
    )


def is_within_reach(runner_id: int) -> sa.ColumnElement[bool]:
    """Return the condition for an attempt whose batch job the runner can see, as far as anybody knows.

    Where its account is known, so has to be that of the runner, or that its backend does not tell it.
    """
    is_its = sa.or_(login.c.account.is_(None), login.c.account == attempt.c.account)
    return sa.or_(attempt.c.account.is_(None), _has_login(login.c.runner_id == runner_id, is_its))


def account_of(runner_id: int | None, backend_id: int) -> sa.ScalarSelect[str | None]:
    """Return the account of a runner on a backend; NULL where that is not known."""
    its = sa.and_(login.c.runner_id == runner_id, login.c.backend_id == backend_id)
    return sa.select(login.c.account).where(its).scalar_subquery()


def account_of_owner(runner_id: int | None) -> sa.ScalarSelect[str | None]:
    """Return the account of a runner on the backend of the attempt; NULL where that is not known."""
    its = sa.and_(login.c.runner_id == runner_id, login.c.backend_id == attempt.c.backend_id)
    return sa.select(login.c.account).where(its).correlate(attempt).scalar_subquery()


def _has_login(
    *conditions: sa.ColumnElement[bool], attempts: sa.FromClause = attempt
) -> sa.ColumnElement[bool]:
    on_its_backend = login.c.backend_id == attempts.c.backend_id
    return sa.exists().where(on_its_backend, *conditions).correlate(attempts)
