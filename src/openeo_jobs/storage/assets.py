"""The files of results, one by one: what is to be fetched, what is here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from openeo_jobs.assets import Asset, AssetState, Fetched, Part
from openeo_jobs.errors import UsageError
from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.policy.downloads import results_of
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.changes import check_unmoved, update_unmoved
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.logins import is_within_reach
from openeo_jobs.storage.rows import SELECT_JOBS, attempt_of, job_from
from openeo_jobs.storage.runners import is_free_or_of
from openeo_jobs.storage.schema import asset, attempt, job

_VARIABLES = 10_000
"""How many a statement may have; SQLite allows 32,766."""


class Assets:
    """Files of results.

    What is stored of one job raises `JobMovedError` if that has another owner, or another attempt, meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._root = database.path.parent.absolute()

    def of(self, each: Job) -> list[Asset]:
        """Return the files of the latest attempt, in the order in which the backend named them."""
        with self._database.reading() as connection:
            return _of(connection, attempt_of(each).id, self._root)

    def downloaded(self, runner_id: int) -> list[tuple[Job, list[Asset]]]:
        """Return the jobs whose results are on disk, with the files that are wanted there.

        Those of other live runners are left out, and those of other accounts.
        """
        select = SELECT_JOBS.where(
            *(job.c.status == JobStatus.FINISHED, job.c.results_status == ResultsStatus.DOWNLOADED),
            *(is_free_or_of(runner_id), is_within_reach(runner_id)),
        )
        with self._database.reading() as connection:
            jobs = connection.execute(select.order_by(job.c.id)).all()
        here = self.by_attempt(wanted=True)
        return [(each, here.get(attempt_of(each).id, [])) for each in map(job_from, jobs)]

    def by_attempt(self, *, wanted: bool = False) -> dict[int, list[Asset]]:
        """Return all files, or those that are *wanted*, by the ids of their attempts."""
        select = sa.select(asset).order_by(asset.c.id)
        if wanted:
            select = select.where(asset.c.state != AssetState.NOT_WANTED)
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
        found: dict[int, list[Asset]] = {}
        for row in rows:
            found.setdefault(row.attempt_id, []).append(asset_from(row, self._root))
        return found

    def errors(self) -> dict[int, str]:
        """Return why results were not fetched when that was last tried, by the numbers of the rows."""
        select = sa.select(job.c.id, job.c.results_error).where(job.c.results_error.is_not(None))
        with self._database.reading() as connection:
            return {row.id: row.results_error for row in connection.execute(select)}

    def record_missing(self, jobs: Sequence[Job]) -> None:
        """Store that results which were on disk are not there any more: they are fetched again.

        Rows that have moved meanwhile stay as they are.
        """
        nothing_tried = {"results_tries": 0, "results_not_before": None}
        with self._database.writing() as connection:
            update_unmoved(connection, jobs, results_status=ResultsStatus.PENDING, **nothing_tried)

    def record_plan(
        self, each: Job, planned: Sequence[Asset], *, expires_at: datetime | None = None
    ) -> list[Asset]:
        """Store which files a job has, those without an id as new, and forget all others; return them.

        :raises UsageError: one of them would take the place of another row's.
        """
        attempt_id = attempt_of(each).id
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            _check_places(connection, each, planned, self._root)
            known = {one.id: one for one in _of(connection, attempt_id, self._root)}
            kept = {one.id for one in planned}
            _delete(connection, known.keys() - kept)
            for one in planned:
                if one.id is not None and one != known[one.id]:
                    its_row = sa.update(asset).where(asset.c.id == one.id)
                    connection.execute(its_row.values(_values_of(one, self._root)))
            new = [
                {"attempt_id": attempt_id, **_values_of(one, self._root)} for one in planned if one.id is None
            ]
            if new:
                connection.execute(sa.insert(asset), new)
            connection.execute(
                sa.update(attempt).where(attempt.c.id == attempt_id).values(results_expire_at=expires_at)
            )
            return _of(connection, attempt_id, self._root)

    def check_places(self, each: Job, planned: Sequence[Asset]) -> None:
        """Raise `UsageError` if a file would take the place of another row's."""
        with self._database.reading() as connection:
            _check_places(connection, each, planned, self._root)

    def record_part(self, each: Job, asset_id: int, part: Part | None, *, size: int | None) -> None:
        """Store which version of a file is about to arrive, and its size, as far as its server says."""
        values = {
            "part_version": part.version if part else None,
            "part_boot_id": part.boot_id if part else None,
            "announced_size": size,
        }
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            connection.execute(sa.update(asset).where(asset.c.id == asset_id).values(values))

    def record_fetched(
        self, each: Job, fetched: Mapping[int, Fetched], failed: Mapping[int, str], *, at: datetime
    ) -> None:
        """Store which files have arrived, and which have not, and why, by the ids of the assets."""
        here = {"state": AssetState.DOWNLOADED, "downloaded_at": at, "error": None, "part_version": None}
        rows: list[dict[str, Any]] = [
            {"its_id": id_, "its_size": one.size, "its_checksum": one.checksum}
            for id_, one in fetched.items()
        ]
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            if rows:
                connection.execute(_ARRIVED.values(here), rows)
            if failed:
                why = _ITS_ROW.values(state=AssetState.FAILED, error=sa.bindparam("its_error"))
                errors = [{"its_id": id_, "its_error": message} for id_, message in failed.items()]
                connection.execute(why, errors)

    def record_settled(self, each: Job, results_status: ResultsStatus) -> None:
        """Store that all results are on disk, or that none are wanted there."""
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            _settle(connection, each, results_status)

    def record_downloaded(self, each: Job, assets: Sequence[Asset], *, at: datetime) -> None:
        """Store that the results are on disk, whole: these files, and no others; or that none are wanted."""
        attempt_id = attempt_of(each).id
        here = {"state": AssetState.DOWNLOADED, "downloaded_at": at}
        rows = [
            {"attempt_id": attempt_id} | _values_of(one, self._root) | ({} if one.is_settled else here)
            for one in assets
        ]
        with self._database.writing() as connection:
            check_unmoved(connection, each)
            connection.execute(sa.delete(asset).where(asset.c.attempt_id == attempt_id))
            if rows:
                connection.execute(sa.insert(asset), rows)
            _settle(connection, each, results_of(assets))


_ITS_ROW = sa.update(asset).where(asset.c.id == sa.bindparam("its_id"))
_ARRIVED = _ITS_ROW.values(size=sa.bindparam("its_size"), checksum=sa.bindparam("its_checksum"))


def make_pending(connection: sa.Connection, attempt_id: int) -> None:
    """Store that the files of an attempt are to be fetched: its batch job has begun anew, or ended anew."""
    connection.execute(
        sa.update(asset)
        .where(asset.c.attempt_id == attempt_id)
        .values(state=AssetState.PENDING, part_version=None)
    )


def asset_from(row: Any, root: Path) -> Asset:
    """Make a file of a row of its table; its path is stored from *root*, the folder of the database."""
    has_part = row.part_version is not None and row.part_boot_id is not None
    return Asset(
        id=row.id,
        name=row.name,
        path=root / row.path,
        state=AssetState(row.state),
        media_type=row.media_type,
        announced_size=row.announced_size,
        announced_checksum=row.announced_checksum,
        size=row.size,
        checksum=row.checksum,
        downloaded_at=row.downloaded_at,
        part=Part(version=row.part_version, boot_id=row.part_boot_id) if has_part else None,
    )


def select_expiring(connection: sa.Connection) -> list[tuple[int, datetime]]:
    """Select the rows whose results are not here, and when they expire, as far as their backends say."""
    select = (
        sa.select(job.c.id, attempt.c.results_expire_at)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .where(job.c.status == JobStatus.FINISHED, attempt.c.results_expire_at.is_not(None))
        .where(job.c.results_status.not_in([ResultsStatus.DOWNLOADED, ResultsStatus.NOT_WANTED]))
        .order_by(job.c.id)
    )
    return [(row.id, row.results_expire_at) for row in connection.execute(select)]


def _check_places(connection: sa.Connection, each: Job, planned: Sequence[Asset], root: Path) -> None:
    """Raise if a file would take the place of one of another row."""
    paths = [_to_stored(one.path, root) for one in planned if one.is_wanted]
    others = (
        sa.select(attempt.c.job_id, asset.c.path)
        .join(attempt, attempt.c.id == asset.c.attempt_id)
        .where(attempt.c.job_id != each.number, asset.c.state != AssetState.NOT_WANTED)
    )
    for i in range(0, len(paths), _VARIABLES):
        part = paths[i : i + _VARIABLES]
        found = connection.execute(others.where(asset.c.path.in_(part)).limit(1)).first()
        if found is not None:
            raise UsageError(
                f"row {each.number}: {found.path} is a file of row {found.job_id}, and is left as it is; "
                "give each row a folder of its own (output_path, get_job_dir)"
            )


def _of(connection: sa.Connection, attempt_id: int, root: Path) -> list[Asset]:
    select = sa.select(asset).where(asset.c.attempt_id == attempt_id).order_by(asset.c.id)
    return [asset_from(row, root) for row in connection.execute(select)]


def _delete(connection: sa.Connection, ids: Collection[int | None]) -> None:
    if ids:
        rows = [{"its_id": id_} for id_ in ids]
        connection.execute(sa.delete(asset).where(asset.c.id == sa.bindparam("its_id")), rows)


def _to_stored(path: Path, root: Path) -> str:
    """Return *path* as it is stored: from the folder of the database, where it lies below that."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _settle(connection: sa.Connection, each: Job, results_status: ResultsStatus) -> None:
    values = {"results_status": results_status, "results_error": None}
    connection.execute(sa.update(job).where(job.c.id == each.number).values(values))


def _values_of(one: Asset, root: Path) -> dict[str, Any]:
    return {
        "name": one.name,
        "path": _to_stored(one.path, root),
        "state": one.state,
        "media_type": one.media_type,
        "announced_size": one.announced_size,
        "announced_checksum": one.announced_checksum,
        "size": one.size,
        "checksum": one.checksum,
        "downloaded_at": one.downloaded_at,
        "part_version": one.part.version if one.part else None,
        "part_boot_id": one.part.boot_id if one.part else None,
    }
