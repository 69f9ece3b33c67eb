"""The backends: their caps, and their pauses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Backend, ErrorClass
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import backend_from
from openeo_jobs.storage.schema import backend


class Backends:
    """Table `backend`."""

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

    def all(self) -> list[Backend]:
        """Return every backend, in the order in which they were first registered."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(backend).order_by(backend.c.id)).all()
        return [backend_from(row) for row in rows]

    def pause(self, name: str, *, kind: ErrorClass, reason: str, at: datetime, retry_at: datetime) -> bool:
        """Let a backend rest until *retry_at*; return whether it was not paused before."""
        with self._database.writing() as connection:
            since = connection.execute(
                sa.select(backend.c.paused_since).where(backend.c.name == name)
            ).scalar()
            values = {"paused_class": kind, "paused_reason": reason, "retry_at": retry_at}
            connection.execute(
                sa.update(backend).where(backend.c.name == name).values(paused_since=since or at, **values)
            )
        return since is None

    def resume(self, name: str) -> None:
        """End the pause of a backend."""
        self._set(name, paused_class=None, paused_reason=None, paused_since=None, retry_at=None)

    def record_facts(self, name: str, *, url: str, currency: str | None) -> None:
        """Store where a backend is, and the currency of its costs."""
        self._set(name, url=url, currency=currency)

    def record_titles(self, name: str, *, keeps_titles: bool) -> None:
        """Store whether titles come back as they were sent."""
        self._set(name, keeps_titles=keeps_titles)

    def _set(self, name: str, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(backend).where(backend.c.name == name).values(values))


def ensure_backends(connection: sa.Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of all backends by name; new ones of *names* have no slots until they are registered."""
    known = {row.name: row.id for row in connection.execute(sa.select(backend.c.name, backend.c.id))}
    for name in sorted(set(names) - set(known)):
        known[name] = connection.execute(sa.insert(backend).values(name=name, parallel_jobs=0)).lastrowid
    return known
