"""The campaign itself: its columns, its rows at the beginning, its mirrors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.jobs import Campaign
from openeo_jobs.status import Actor
from openeo_jobs.storage.arrivals import describe_columns, insert_jobs, merge_rows
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import campaign_from
from openeo_jobs.storage.schema import campaign, status_change
from openeo_jobs.storage.views import create_views
from openeo_jobs.tables import Merge, Table


class Campaigns:
    """The one row of table `campaign`, and the rows of the dataframe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Campaign | None:
        """Return the campaign; None while the database holds none."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(campaign)).first()
        return campaign_from(row) if row else None

    def begin(
        self,
        table: Table,
        *,
        uid: str,
        at: datetime,
        taken_over_from: str | None = None,
        mirrors: Mapping[str, str] | None = None,
    ) -> Campaign:
        """Store a dataframe as the campaign, its rows in order; all of it or nothing.

        *mirrors* are files that are there already, with the hash of their contents.
        """
        with self._database.writing() as connection:
            connection.execute(
                sa.insert(campaign).values(
                    id=1,
                    uid=uid,
                    created_at=at,
                    columns=describe_columns(table.columns),
                    index_column=asdict(table.index),
                    geometry=table.geometry,
                    mirrors={},
                    taken_over_from=taken_over_from,
                )
            )
            insert_jobs(connection, table.jobs, at=at, actor=Actor.INTERFACE, reason="taken over")
            for path, content_hash in (mirrors or {}).items():
                note_mirror(connection, path, content_hash, latest_change(connection), is_there=True)
            create_views(connection, table.columns)
            stored = connection.execute(sa.select(campaign)).one()
        return campaign_from(stored)

    def merge(self, merge: Merge, *, at: datetime) -> list[int]:
        """Store what a dataframe adds: columns, cells, rows; all of it or nothing.

        Cells of rows that are under way or finished stay as they are; return the numbers of these rows.
        """
        with self._database.writing() as connection:
            return merge_rows(connection, merge, at=at, actor=Actor.USER, reason="added")

    def note_mirror(self, path: str, content_hash: str, mark: int, *, is_there: bool) -> None:
        """Store that a content of the mirror at *path* is ours (see `Mirrored`)."""
        with self._database.writing() as connection:
            note_mirror(connection, path, content_hash, mark, is_there=is_there)


_KEPT_CONTENTS = 16


def note_mirror(
    connection: sa.Connection,
    path: str,
    content_hash: str,
    mark: int,
    *,
    is_there: bool,
    is_edit: bool = False,
) -> None:
    """Store that a content of the mirror at *path* is ours; the latest few are remembered."""
    mirrors = dict(connection.execute(sa.select(campaign.c.mirrors)).scalar_one())
    others = [one for one in mirrors.get(path, []) if one["content_hash"] != content_hash]
    new = {"content_hash": content_hash, "mark": mark, "is_there": is_there, "is_edit": is_edit}
    mirrors[path] = [*others[1 - _KEPT_CONTENTS :], new]
    connection.execute(sa.update(campaign).values(mirrors=mirrors))


def latest_change(connection: sa.Connection) -> int:
    """Return the number of the latest change of status, 0 before the first."""
    latest = sa.func.coalesce(sa.func.max(status_change.c.id), 0)
    return int(connection.execute(sa.select(latest)).scalar_one())
