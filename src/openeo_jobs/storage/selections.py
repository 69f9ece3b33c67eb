"""Rows that somebody means: by an SQL condition over view `jobs`, by their status, by their numbers."""

from __future__ import annotations

import re
from collections.abc import Collection

import sqlalchemy as sa

from openeo_jobs.errors import OpenEOJobsError, UsageError
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.schema import job
from openeo_jobs.storage.views import quote

_OPAQUE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/", re.DOTALL)
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")


class Selections:
    """Numbers of rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self, *, rows: Collection[int] = (), statuses: Collection[str] = (), where: str | None = None
    ) -> list[int]:
        """Return the numbers, in order, of the rows that are named in any of these ways.

        Raises `OpenEOJobsError` for a row that does not exist, `UsageError` for a condition that is none.
        """
        with self._database.reading() as connection:
            known = set(connection.execute(sa.select(job.c.id)).scalars())
            unknown = sorted(set(rows) - known)
            if unknown:
                raise OpenEOJobsError(
                    f"there is no row {unknown[0]}; rows are numbered from 1, as `job` in view jobs"
                )
            by_status = sa.select(job.c.id).where(job.c.status.in_(sorted(statuses)))
            found = set(rows) | set(connection.execute(by_status).scalars())
            if where is not None:
                found |= _find_where(connection, where)
        return sorted(found)


def _find_where(connection: sa.Connection, condition: str) -> set[int]:
    """Evaluate a condition, where nothing can be written, after a check that it is one expression."""
    if not condition.strip() or not _is_closed(condition):
        raise _complain(connection, condition, "it is no condition")
    select = f"SELECT job FROM jobs WHERE (\n{condition}\n)"
    try:
        connection.exec_driver_sql(f"EXPLAIN {select}").close()
        return set(connection.exec_driver_sql(select).scalars())
    except sa.exc.DBAPIError as error:
        raise _complain(connection, condition, str(error.orig)) from error


def _is_closed(condition: str) -> bool:
    """Say whether the parentheses in it are its own, and it is one statement."""
    depth = 0
    for character in _OPAQUE.sub("", condition):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0 or character == ";":
            return False
    return depth == 0


def _complain(connection: sa.Connection, condition: str, reason: str) -> UsageError:
    names = connection.exec_driver_sql("SELECT * FROM jobs LIMIT 0").keys()
    columns = ", ".join(name if _PLAIN_NAME.fullmatch(name) else quote(name) for name in names)
    return UsageError(
        f"where {condition!r}: {reason}. It is an SQL condition over view jobs, such as "
        f"\"status = 'running'\"; its columns: {columns}"
    )
