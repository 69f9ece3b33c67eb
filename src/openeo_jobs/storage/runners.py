"""The processes that work on the campaign, or did; and taking over from those that are dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from openeo_jobs.errors import CampaignInUseError
from openeo_jobs.jobs import ResultsStatus, Runner
from openeo_jobs.status import FINAL, JobStatus
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.rows import runner_from
from openeo_jobs.storage.schema import batch_job, job, runner


class Runners:
    """Table `runner`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, new: Runner, *, is_dead: Callable[[Runner], bool], at: datetime) -> int:
        """Register a runner and hand it what dead ones left; return its id.

        Raises `CampaignInUseError` if another runner may be alive.
        """
        with self._database.writing() as connection:
            rows = connection.execute(sa.select(runner).where(runner.c.ended_at.is_(None))).all()
            others = [runner_from(row) for row in rows]
            for other in others:
                if not is_dead(other):
                    raise CampaignInUseError(_in_use(self._database, other))
            values = {name: value for name, value in asdict(new).items() if name != "id"}
            runner_id = connection.execute(sa.insert(runner).values(values)).lastrowid
            _take_over(connection, int(runner_id), [int(other.id or 0) for other in others], at=at)
        self._database.expect_runner(int(runner_id), new.uuid)
        return int(runner_id)

    def beat(self, runner_id: int, *, at: datetime) -> None:
        """Say that the runner is alive."""
        self._set(runner_id, heartbeat_at=at)

    def record_round(self, runner_id: int, *, at: datetime) -> None:
        """Say that the runner has done a round; raise `CampaignInUseError` if another run has replaced it."""
        with self._database.writing() as connection:
            check_in_charge(connection, runner_id)
            connection.execute(
                sa.update(runner).where(runner.c.id == runner_id).values(heartbeat_at=at, last_round_at=at)
            )

    def end(self, runner_id: int, *, at: datetime) -> None:
        """Say that the runner has ended."""
        self._set(runner_id, ended_at=at)

    def latest(self) -> Runner | None:
        """Return the runner that began last; None before the first run."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runner).order_by(runner.c.id.desc()).limit(1)).first()
        return runner_from(row) if row else None

    def _set(self, runner_id: int, **values: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(runner).where(runner.c.id == runner_id).values(values))


def check_in_charge(connection: sa.Connection, runner_id: int) -> None:
    """Raise `CampaignInUseError` if another run took the runner for dead and has replaced it."""
    ended_at = connection.execute(sa.select(runner.c.ended_at).where(runner.c.id == runner_id)).scalar()
    if ended_at is not None:
        raise CampaignInUseError(
            f"this run was not heard of after {ended_at:%Y-%m-%d %H:%M:%S} UTC, and another one has taken "
            "the campaign over; let that one go on"
        )


def _take_over(connection: sa.Connection, runner_id: int, dead: list[int], *, at: datetime) -> None:
    connection.execute(
        sa.update(job)
        .where(job.c.owner_id.is_not(None), job.c.status.not_in(sorted(FINAL)))
        .values(owner_id=runner_id)
    )
    connection.execute(
        sa.update(batch_job)
        .where(batch_job.c.sent_at.is_not(None), batch_job.c.ended_at.is_(None))
        .values(ended_at=at)
    )
    connection.execute(
        sa.update(job)
        .where(job.c.status == JobStatus.FINISHED)
        .where(job.c.results_status.in_([ResultsStatus.DOWNLOADING, ResultsStatus.FAILED]))
        .values(results_status=ResultsStatus.PENDING, results_tries=0, results_not_before=None)
    )
    connection.execute(sa.update(runner).where(runner.c.id.in_(dead)).values(ended_at=runner.c.heartbeat_at))


def _in_use(database: Database, other: Runner) -> str:
    return (
        f"{database.path} is being run by {other.command!r} (pid {other.pid} on {other.host}, "
        f"in {other.folder}, last heard of {other.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC); "
        "stop that run first, or let it go on"
    )
