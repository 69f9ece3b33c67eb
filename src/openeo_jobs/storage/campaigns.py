"""The campaign itself: its columns, its rows at the beginning, its mirrors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.jobs import Campaign, Table
from openeo_jobs.storage.arrivals import insert_jobs
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import campaign_from
from openeo_jobs.storage.schema import campaign
from openeo_jobs.storage.views import create_views


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
        self, table: Table, *, uid: str, at: datetime, mirrors: Mapping[str, tuple[str, ...]] | None = None
    ) -> Campaign:
        """Store a dataframe as the campaign, its rows in order; all of it or nothing.

        *mirrors* are files that are there already, with the hashes of their contents.
        """
        with self._database.writing() as connection:
            connection.execute(
                sa.insert(campaign).values(
                    id=1,
                    uid=uid,
                    created_at=at,
                    columns=[asdict(column) for column in table.columns],
                    index_column=asdict(table.index),
                    geometry=table.geometry,
                    mirrors={path: list(hashes) for path, hashes in (mirrors or {}).items()},
                )
            )
            insert_jobs(connection, table.jobs, first_position=0, at=at, reason="taken over")
            create_views(connection, table.columns)
            stored = connection.execute(sa.select(campaign)).one()
        return campaign_from(stored)

    def record_mirror(self, path: str, hashes: tuple[str, ...]) -> None:
        """Store which contents of the mirror at *path* are ours."""
        with self._database.writing() as connection:
            mirrors = dict(connection.execute(sa.select(campaign.c.mirrors)).scalar_one())
            mirrors[path] = list(hashes)
            connection.execute(sa.update(campaign).values(mirrors=mirrors))
