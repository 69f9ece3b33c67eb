"""Whether a database is still the one that was opened: the same file, with nothing taken back."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from openeo_jobs.errors import DatabaseReplacedError, DatabaseUnavailableError
from openeo_jobs.storage.schema import runner, status_change

_REMEDY = (
    "this run stops and writes nothing more; batch jobs go on at their backends. Put the file back where it "
    "was, and start the script again"
)


class Identity:
    """What tells the file at *path* from another one that takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _identify(path)
        self._runner: tuple[int, str] | None = None
        self._latest_change = 0

    def expect_runner(self, runner_id: int, uuid: str) -> None:
        """Expect this runner to be in the database from now on, and the history to go on from here."""
        self._runner = (runner_id, uuid)

    def check_file(self) -> None:
        """Raise `DatabaseReplacedError` unless the file is the one that was there at first."""
        found = _identify(self._path)
        if found is None:
            raise DatabaseReplacedError(f"{self._path} was deleted while it was in use; {_REMEDY}")
        if found != self._file:
            raise DatabaseReplacedError(
                f"{self._path} was replaced by another file while it was in use; {_REMEDY}"
            )

    def check(self, connection: sa.Connection) -> None:
        """Raise `DatabaseReplacedError` for another file, another campaign, or an older copy of this one."""
        self.check_file()
        if self._runner is None:
            return
        runner_id, uuid = self._runner
        found, latest = connection.execute(_WITNESSES, {"its_id": runner_id}).one()
        if found != uuid or (latest or 0) < self._latest_change:
            raise DatabaseReplacedError(
                f"{self._path} was overwritten by another database, or by an older copy, while it was in use"
                f"; {_REMEDY}"
            )
        self._latest_change = latest or 0


_WITNESSES = sa.select(
    sa.select(runner.c.uuid).where(runner.c.id == sa.bindparam("its_id")).scalar_subquery(),
    sa.select(sa.func.max(status_change.c.id)).scalar_subquery(),
)


def _identify(path: Path) -> int | None:
    """Return what stays of a file's identity: its device has another number when a share is mounted anew."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatabaseUnavailableError(f"{path} cannot be looked at for now: {error}") from error
