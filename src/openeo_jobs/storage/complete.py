"""Complete rows and the files that are known of them, a few at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from openeo_jobs.assets import Asset, AssetState
from openeo_jobs.jobs import ResultsStatus
from openeo_jobs.policy.verification import CompleteRow
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.assets import asset_from
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import deletion_time
from openeo_jobs.storage.schema import asset, attempt, batch_job, job

_PAGE = 20


class CompleteRows:
    """Rows that are finished, and whose results are on disk or not wanted there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._root = database.path.parent.absolute()

    def count(self) -> int:
        """Count them."""
        with self._database.reading() as connection:
            return int(connection.execute(_SELECT.with_only_columns(sa.func.count())).scalar_one())

    def all(self) -> Iterator[CompleteRow]:
        """Yield them in the order of their numbers; a page of them is in memory."""
        page = self._read(_SELECT.order_by(job.c.id).limit(_PAGE))
        while page:
            yield from page
            beyond = _SELECT.where(job.c.id > page[-1].number)
            page = self._read(beyond.order_by(job.c.id).limit(_PAGE))

    def one(self, number: int) -> CompleteRow | None:
        """Return the row with this *number*; None where it is not complete, or does not exist."""
        found = self._read(_SELECT.where(job.c.id == number))
        return found[0] if found else None

    def _read(self, select: sa.Select[Any]) -> list[CompleteRow]:
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
            its = asset.c.attempt_id.in_([row.attempt_id for row in rows])
            assets = connection.execute(sa.select(asset).where(its).order_by(asset.c.id)).all()
        by_attempt: dict[int, list[Asset]] = {}
        for one in assets:
            by_attempt.setdefault(one.attempt_id, []).append(asset_from(one, self._root))
        return [_row_from(row, by_attempt.get(row.attempt_id, [])) for row in rows]


_SELECT = (
    sa.select(
        *(job.c.id, job.c.attempt_id, job.c.results_status),
        *(batch_job.c.settled_as, batch_job.c.settled_at),
    )
    .select_from(job)
    .join(attempt, attempt.c.id == job.c.attempt_id)
    .outerjoin(batch_job, batch_job.c.id == attempt.c.chosen_id)
    .where(job.c.status == JobStatus.FINISHED)
    .where(job.c.results_status.in_([ResultsStatus.DOWNLOADED, ResultsStatus.NOT_WANTED]))
)


def _row_from(row: sa.Row[Any], assets: Sequence[Asset]) -> CompleteRow:
    is_downloaded = row.results_status == ResultsStatus.DOWNLOADED
    here = tuple(one for one in assets if one.state is AssetState.DOWNLOADED) if is_downloaded else ()
    return CompleteRow(
        number=row.id,
        attempt_id=row.attempt_id,
        assets=here,
        is_wanted=is_downloaded or not assets,
        deleted_at=deletion_time(row.settled_as, row.settled_at),
    )
