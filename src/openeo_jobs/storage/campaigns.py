"""The campaign itself: its columns, its rows at the beginning, its mirrors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.errors import CampaignExistsError
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
        actor: Actor = Actor.USER,
        mirrors: Mapping[str, str] | None = None,
    ) -> Campaign:
        """Store a dataframe as the campaign, its rows in order; all of it or nothing.

        *actor* is who has brought rows on their way that are under way already. *mirrors* are files that are
        there already, with the hash of their contents. Raises `CampaignExistsError` where another process has
        begun one meanwhile.
        """
        with self._database.writing() as connection:
            if connection.execute(sa.select(campaign.c.id)).first() is not None:
                raise CampaignExistsError(f"{self._database.path} holds a campaign already")
            connection.execute(
                sa.insert(campaign).values(
                    id=1,
                    uid=uid,
                    created_at=at,
                    columns=describe_columns(table.columns),
                    index_column=asdict(table.index),
                    geometry=table.geometry,
                    mirrors={},
                )
            )
            insert_jobs(connection, table.jobs, at=at, actor=actor, reason="taken over")
            for path, content_hash in (mirrors or {}).items():
                set_mirror(connection, path, {content_hash: latest_change(connection)})
            create_views(connection, table.columns)
            stored = connection.execute(sa.select(campaign)).one()
        return campaign_from(stored)

    def merge(self, merge: Merge, *, at: datetime) -> Campaign:
        """Store what a dataframe adds: columns, cells, rows; all of it or nothing."""
        with self._database.writing() as connection:
            merge_rows(connection, merge, at=at, actor=Actor.USER, reason="added")
            stored = connection.execute(sa.select(campaign)).one()
        return campaign_from(stored)

    def announce_mirror(self, path: str, content_hash: str, mark: int) -> bool:
        """Store that contents about to be written to the mirror at *path* are ours (see `Campaign.mirrors`).

        Return False, and store nothing, where another process has announced what is newer.
        """
        with self._database.writing() as connection:
            known = _mirror(connection, path)
            if content_hash not in known:
                if any(other > mark for other in known.values()):
                    return False
                set_mirror(connection, path, {**known, content_hash: mark})
        return True

    def publish_mirror(
        self, path: str, content_hash: str, mark: int, write: Callable[[Mapping[str, int]], None]
    ) -> bool:
        """Let *write* put announced contents in their place, and store that; say whether it did.

        It is called with the contents that are ours, and while the database is locked: of several processes
        one writes at a time. It is not where another one has written what is newer.
        """
        with self._database.writing() as connection:
            known = _mirror(connection, path)
            if content_hash not in known:
                return False
            write(known)
            set_mirror(connection, path, {content_hash: mark})
        return True

    def compare_mirror(
        self, path: str, read: Callable[[], str | None]
    ) -> tuple[str | None, Mapping[str, int]]:
        """Return the hash that *read* finds in the mirror at *path*, and what is ours just then."""
        with self._database.writing() as connection:
            return read(), _mirror(connection, path)


def latest_change(connection: sa.Connection) -> int:
    """Return the number of the latest change of status, 0 before the first."""
    latest = sa.func.coalesce(sa.func.max(status_change.c.id), 0)
    return int(connection.execute(sa.select(latest)).scalar_one())


def _mirror(connection: sa.Connection, path: str) -> dict[str, int]:
    mirrors = connection.execute(sa.select(campaign.c.mirrors)).scalar() or {}
    return dict(mirrors.get(path, {}))


def set_mirror(connection: sa.Connection, path: str, hashes: Mapping[str, int]) -> None:
    """Store which contents of the mirror at *path* are ours."""
    mirrors = dict(connection.execute(sa.select(campaign.c.mirrors)).scalar_one())
    mirrors[path] = dict(hashes)
    connection.execute(sa.update(campaign).values(mirrors=mirrors))
