"""The processes that work on the campaign, or did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.jobs import Runner
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import runner_from
from openeo_jobs.storage.schema import job, login, runner


class Runners:
    """Table `runner`. One that has ended never acts again: its process gets a new line if it comes back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        new: Runner,
        *,
        is_dead: Callable[[Runner], bool],
        at: datetime,
        instead_of: int | None = None,
    ) -> int:
        """Register a runner beside those that are alive, and store that the dead ones have ended.

        It has the logins of the one that it is *instead_of*, if that is given.
        """
        with self._database.writing() as connection:
            _bury(connection, is_dead, at=at)
            values = {name: value for name, value in asdict(new).items() if name != "id"}
            runner_id = int(connection.execute(sa.insert(runner).values(values)).lastrowid)
            its = sa.select(sa.literal(runner_id), login.c.backend_id, login.c.account)
            connection.execute(
                sa.insert(login).from_select(
                    ["runner_id", "backend_id", "account"], its.where(login.c.runner_id == instead_of)
                )
            )
        self._database.expect_runner(runner_id, new.uuid)
        return runner_id

    def bury(self, runner_id: int, *, is_dead: Callable[[Runner], bool], at: datetime) -> list[Runner]:
        """Store that runners have ended that are dead by the judgement of another one; return them.

        They are judged while the file is locked: none of them can be heard of meanwhile, and the judge can
        write.
        """
        with self._database.reading() as connection:
            others = find_open(connection, but=runner_id)
        if not any(is_dead(other) for other in others):
            return []
        with self._database.writing() as connection:
            return _bury(connection, is_dead, at=at, but=runner_id)

    def beat(self, runner_id: int, *, at: datetime) -> None:
        """Say that the runner is alive; one that has ended stays so."""
        self._set(runner_id, heartbeat_at=at)

    def record_round(self, runner_id: int, *, at: datetime) -> bool:
        """Say that the runner does a round; return False if it was taken for dead meanwhile."""
        return self._set(runner_id, heartbeat_at=at, last_round_at=at)

    def end(self, runner_id: int, *, at: datetime) -> None:
        """Say that the runner has ended."""
        self._set(runner_id, ended_at=at)

    def open(self) -> list[Runner]:
        """Return the runners that have not said, and of which nobody has found, that they ended."""
        with self._database.reading() as connection:
            return find_open(connection)

    def latest(self) -> Runner | None:
        """Return the runner that began last; None before the first run."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runner).order_by(runner.c.id.desc()).limit(1)).first()
        return runner_from(row) if row else None

    def _set(self, runner_id: int, **values: datetime) -> bool:
        still_open = sa.and_(runner.c.id == runner_id, runner.c.ended_at.is_(None))
        with self._database.writing() as connection:
            return connection.execute(sa.update(runner).where(still_open).values(values)).rowcount == 1


def is_in_charge(connection: sa.Connection, runner_id: int) -> bool:
    """Say whether the runner may still take rows: nobody has taken it for dead."""
    select = sa.select(runner.c.id).where(runner.c.id == runner_id, runner.c.ended_at.is_(None))
    return connection.execute(select).first() is not None


def is_run() -> sa.ColumnElement[bool]:
    """Return the condition for a runner that does rounds; a command that fetches results is no run."""
    return runner.c.last_round_at.is_not(None)


def is_free() -> sa.ColumnElement[bool]:
    """Return the condition for a job that nobody acts on: it has no owner, or one that has ended."""
    acts = sa.exists().where(runner.c.id == job.c.owner_id, runner.c.ended_at.is_(None)).correlate(job)
    return ~acts


def is_free_or_of(runner_id: int) -> sa.ColumnElement[bool]:
    """Return the condition for a job that no other runner acts on."""
    return sa.or_(job.c.owner_id == runner_id, is_free())


def find_open(connection: sa.Connection, *, but: int | None = None) -> list[Runner]:
    """Return the runners that have not ended as far as is known."""
    select = sa.select(runner).where(runner.c.ended_at.is_(None), runner.c.id.is_distinct_from(but))
    return [runner_from(row) for row in connection.execute(select.order_by(runner.c.id))]


def _bury(
    connection: sa.Connection, is_dead: Callable[[Runner], bool], *, at: datetime, but: int | None = None
) -> list[Runner]:
    dead = [one for one in find_open(connection, but=but) if is_dead(one)]
    numbers = [one.id for one in dead]
    connection.execute(
        sa.update(runner).where(runner.c.id.in_(numbers)).values(ended_at=runner.c.heartbeat_at)
    )
    return dead
