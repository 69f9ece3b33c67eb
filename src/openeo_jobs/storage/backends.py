"""The backends: their caps, and their pauses, which are everybody's there, or one account's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Backend, ErrorClass
from openeo_jobs.policy.failures import is_about_account
from openeo_jobs.status import STARTED
from openeo_jobs.storage.accounts import Place, place_for, place_of, select_backends
from openeo_jobs.storage.claims import count_held
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.schema import attempt, backend, batch_job


class Backends:
    """Tables `backend` and `account`: what is about everybody, and what is about one account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, backends: Iterable[Backend]) -> None:
        """Store the given names and caps; a name that is known keeps the rest."""
        with self._database.writing() as connection:
            known = set(connection.execute(sa.select(backend.c.name)).scalars())
            for each in backends:
                values = {"parallel_jobs": each.parallel_jobs}
                if each.name in known:
                    connection.execute(sa.update(backend).where(backend.c.name == each.name).values(values))
                else:
                    connection.execute(sa.insert(backend).values(name=each.name, **values))

    def all(self, *, runner_id: int | None = None) -> list[Backend]:
        """Return every backend as the runner's account finds it, in the order of their registration."""
        with self._database.reading() as connection:
            return select_backends(connection, runner_id=runner_id)

    def one(self, name: str, *, runner_id: int | None = None) -> Backend:
        """Return the backend with this name, which has to be registered, as the runner's account finds it."""
        return next(known for known in self.all(runner_id=runner_id) if known.name == name)

    def pause(
        self,
        name: str,
        *,
        kind: ErrorClass,
        reason: str,
        remedy: str | None = None,
        at: datetime,
        retry_at: datetime,
        is_polled: bool = True,
        failures_in_a_row: int = 1,
        runner_id: int | None = None,
    ) -> bool:
        """Let a backend rest until *retry_at*; return whether it was not paused before.

        It rests for the runner's account only, if that is known, where *kind* is about an account. *remedy*
        is the command that mends what it is paused for, if there is one.
        """
        values = {
            "paused_class": kind,
            "paused_reason": reason,
            "paused_remedy": remedy,
            "retry_at": retry_at,
            "is_polled": is_polled,
            "failures_in_a_row": failures_in_a_row,
        }
        with self._database.writing() as connection:
            table, its = place_for(connection, name, runner_id if is_about_account(kind) else None)
            since = connection.execute(sa.select(table.c.paused_since).where(its)).scalar()
            connection.execute(sa.update(table).where(its).values(paused_since=since or at, **values))
        return since is None

    def resume(self, known: Backend) -> None:
        """End the pause that a backend was found in; its failures are forgotten once it does something."""
        with self._database.writing() as connection:
            _resume(connection, place_of(known))

    def forget_dead_login(self, name: str) -> None:
        """End the pause of a backend for a login of nobody knows whom: there is one that is known."""
        with self._database.writing() as connection:
            is_its = sa.and_(backend.c.name == name, backend.c.paused_class == ErrorClass.AUTH)
            _resume(connection, (backend, is_its))

    def forget_failures(self, name: str, *, runner_id: int | None = None) -> None:
        """Store that a backend did what the runner asked it for, without a pause in between."""
        with self._database.writing() as connection:
            for table, its in (place_for(connection, name, one) for one in (None, runner_id)):
                connection.execute(sa.update(table).where(its).values(failures_in_a_row=0))

    def learn_cap(self, name: str, *, runner_id: int, at: datetime) -> int:
        """Store that a backend takes no more of the runner's account than what is active there, at least 1.

        Return how many."""
        with self._database.writing() as connection:
            cap = max(1, count_held(connection, STARTED, runner_id=runner_id).get(name, 0))
            table, its = place_for(connection, name, runner_id)
            connection.execute(sa.update(table).where(its).values(learned_cap=cap, learned_at=at))
        return cap

    def record_fuse(self, name: str, reason: str | None, *, at: datetime) -> None:
        """Store why nothing new is created on a backend, or (None) that nothing is against it."""
        self._set(name, fuse_reason=reason, fuse_since=None if reason is None else at)

    def record_facts(self, name: str, *, url: str, currency: str | None) -> None:
        """Store where a backend is, and the currency of its costs, also of those that are known already."""
        with self._database.writing() as connection:
            its_id = sa.select(backend.c.id).where(backend.c.name == name).scalar_subquery()
            connection.execute(
                sa.update(backend).where(backend.c.name == name).values(url=url, currency=currency)
            )
            connection.execute(
                sa.update(attempt)
                .where(attempt.c.backend_id == its_id, attempt.c.costs.is_not(None))
                .where(attempt.c.currency.is_(None))
                .values(currency=currency)
            )

    def tags(self, name: str) -> dict[str, str]:
        """Return the tags that were sent to a backend, by the ids of the batch jobs that came of it."""
        select = (
            sa.select(batch_job.c.batch_job_id, batch_job.c.tag)
            .join(backend, backend.c.id == batch_job.c.backend_id)
            .where(backend.c.name == name, batch_job.c.sent_at.is_not(None))
            .where(batch_job.c.batch_job_id.is_not(None), batch_job.c.tag.is_not(None))
        )
        with self._database.reading() as connection:
            return {row.batch_job_id: row.tag for row in connection.execute(select)}

    def record_titles(self, name: str, *, keeps_titles: bool) -> None:
        """Store whether listings have titles as they were sent."""
        self._set(name, keeps_titles=keeps_titles)

    def _set(self, name: str, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(backend).where(backend.c.name == name).values(values))


def _resume(connection: sa.Connection, place: Place) -> None:
    table, its = place
    nothing = dict.fromkeys(("paused_class", "paused_reason", "paused_remedy", "paused_since", "retry_at"))
    connection.execute(sa.update(table).where(its).values(is_polled=True, **nothing))


def ensure_backends(connection: sa.Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of all backends by name; new ones of *names* have no slots until they are registered."""
    known = {row.name: row.id for row in connection.execute(sa.select(backend.c.name, backend.c.id))}
    for name in sorted(set(names) - set(known)):
        known[name] = connection.execute(sa.insert(backend).values(name=name, parallel_jobs=0)).lastrowid
    return known
