"""The life of a batch job as frozen values: what it is at any instant was decided at its start.

Nothing here runs, waits or reads a clock. A start lays down when the batch job will run, when it will end and
how; every question takes the instant that it is asked for. So a simulator that was off has lost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from openeo_jobs.status import JobStatus

ACTIVE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
"""The statuses that hold a place under the concurrency limit, and in which a batch job is locked."""

_TOLD_AT_FIRST = {JobStatus.FINISHED: JobStatus.CANCELED, JobStatus.ERROR: JobStatus.FINISHED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why something fails, as it stands in the logs or in the answer of `POST /validation`."""

    code: str
    message: str
    level: str = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One start of a batch job, from its queue to its end. `key` seeds everything random about it.

    `vanishes_at`: from then on nobody finds the batch job any more. `corrected_at`: until then its end is
    told wrongly, `canceled` for `finished` and `finished` for `error`.
    """

    key: str
    queued_at: datetime
    running_at: datetime
    ends_at: datetime
    failure: Problem | None = None
    stopped_at: datetime | None = None
    vanishes_at: datetime | None = None
    corrected_at: datetime | None = None

    @property
    def ended_at(self) -> datetime:
        """When it ended, or will end by itself."""
        return self.stopped_at or self.ends_at

    @property
    def ever_ran(self) -> bool:
        """Say whether it ran, or will: not if it was stopped while it was queued."""
        return self.stopped_at is None or self.stopped_at >= self.running_at

    def status_at(self, now: datetime) -> JobStatus:
        """Return the status at *now*; what was stopped while queued is `created` again."""
        if self.stopped_at is not None:
            return JobStatus.CANCELED if self.ever_ran else JobStatus.CREATED
        if now < self.running_at:
            return JobStatus.QUEUED
        if now < self.ends_at:
            return JobStatus.RUNNING
        return JobStatus.FINISHED if self.failure is None else JobStatus.ERROR

    def word_at(self, now: datetime) -> JobStatus:
        """Return the status that is told at *now*, which is not always the right one."""
        status = self.status_at(now)
        if self.corrected_at is None or now >= self.corrected_at:
            return status
        return _TOLD_AT_FIRST.get(status, status)

    def as_of(self, at: datetime) -> Execution:
        """Return what was known at *at*: nothing of a later stop."""
        return replace(self, stopped_at=None) if self.stopped_at and self.stopped_at > at else self

    def changed_at(self, now: datetime) -> datetime:
        """Return when the status that it has at *now* began."""
        planned = (self.queued_at, self.running_at, self.ends_at)
        return self.stopped_at or max((at for at in planned if at <= now), default=self.queued_at)

    def run_time_at(self, now: datetime) -> timedelta:
        """Return for how long it has been running at *now*."""
        return max(min(now, self.ended_at) - self.running_at, timedelta())

    def progress_at(self, now: datetime) -> float:
        """Return the progress at *now*, in percent."""
        planned = self.ends_at - self.running_at
        return 100.0 * (self.run_time_at(now) / planned) if planned else 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """A batch job: the body that it was created with, and every start since."""

    id: str
    user: str
    created_at: datetime
    body: Mapping[str, Any]
    executions: tuple[Execution, ...] = field(default=())
    deleted_at: datetime | None = None

    @property
    def title(self) -> str | None:
        """The title, with its tag if it has one."""
        title = self.body.get("title")
        return title if isinstance(title, str) else None

    @property
    def latest(self) -> Execution | None:
        """The latest start; the results and logs of earlier ones are discarded."""
        return self.executions[-1] if self.executions else None

    def status_at(self, now: datetime) -> JobStatus:
        """Return the status at *now*."""
        return self.latest.status_at(now) if self.latest else JobStatus.CREATED

    def word_at(self, now: datetime) -> JobStatus:
        """Return the status that is told at *now*."""
        return self.latest.word_at(now) if self.latest else JobStatus.CREATED

    def has_vanished_at(self, now: datetime) -> bool:
        """Say whether nobody finds it any more at *now*."""
        return (at := self.vanishes_at) is not None and at <= now

    @property
    def vanishes_at(self) -> datetime | None:
        """When it vanishes; a restart does not bring it back."""
        return min((one.vanishes_at for one in self.executions if one.vanishes_at), default=None)

    def as_of(self, at: datetime) -> BatchJob:
        """Return what was known at *at*."""
        executions = (one.as_of(at) for one in self.executions if one.queued_at <= at)
        return replace(self, executions=tuple(executions))

    def is_active_at(self, now: datetime) -> bool:
        """Say whether it is queued or running at *now*."""
        return self.status_at(now) in ACTIVE

    def updated_at(self, now: datetime) -> datetime:
        """Return when its status last changed before *now*."""
        return self.latest.changed_at(now) if self.latest else self.created_at

    def run_time_at(self, now: datetime) -> timedelta:
        """Return for how long it has been running at *now*, all its executions together."""
        return sum((execution.run_time_at(now) for execution in self.executions), timedelta())

    def started_with(self, execution: Execution) -> BatchJob:
        """Return the batch job after another start; its former results are gone."""
        return replace(self, executions=(*self.executions, execution))

    def stopped_at(self, now: datetime) -> BatchJob:
        """Return the batch job after a stop, which only acts on what is queued or running."""
        if self.latest is None or not self.is_active_at(now):
            return self
        return replace(self, executions=(*self.executions[:-1], replace(self.latest, stopped_at=now)))

    def deleted(self, now: datetime) -> BatchJob:
        """Return the batch job after its deletion, which stops it."""
        return replace(self.stopped_at(now), deleted_at=now)

    def patched_with(self, changes: Mapping[str, Any]) -> BatchJob:
        """Return the batch job with *changes* in its body."""
        return replace(self, body={**self.body, **changes})
