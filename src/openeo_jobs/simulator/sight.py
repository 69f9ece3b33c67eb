"""What a backend lets its users see of its batch jobs, which may be late, or not all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from openeo_jobs.simulator.deviations import Deviations, Federation, Lags
from openeo_jobs.simulator.faults import Span
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.planning import draw, make_key


class Sight:
    """Tells which batch jobs are seen, and as of when.

    *first_created_at* returns when the first one was created; None while there is none.
    """

    def __init__(
        self, deviations: Deviations, *, seed: int, first_created_at: Callable[[], datetime | None]
    ) -> None:
        self._lags = deviations.lags
        self._federation = deviations.federation
        self._is_clear = (self._lags, self._federation) == (Lags(), Federation())
        self._seed = seed
        self._first_created_at = first_created_at

    def knows(self, job: BatchJob, now: datetime) -> bool:
        """Say whether the endpoints of *job* find it."""
        if job.has_vanished_at(now):
            return False
        return self._is_clear or not (
            _is_younger(job, self._lags.job_seconds, now) or self._is_away(job, now)
        )

    def lists(self, job: BatchJob, now: datetime) -> bool:
        """Say whether *job* is in the list of batch jobs."""
        if job.has_vanished_at(now):
            return False
        return self._is_clear or not (
            _is_younger(job, self._lags.listing_seconds, now) or self._is_away(job, now)
        )

    def is_partial(self, now: datetime) -> bool:
        """Say whether a member of the federation does not answer."""
        span = self._find_outage()
        return span is not None and span.contains(now)

    def look(self, job: BatchJob, now: datetime) -> tuple[BatchJob, datetime]:
        """Return *job* as it is seen *now*, and as of which instant that is."""
        if not self._lags.status_seconds:
            return job, now
        at = max(job.created_at, now - timedelta(seconds=self._lags.status_seconds))
        return job.as_of(at), at

    def knows_costs(self, job: BatchJob, now: datetime) -> bool:
        """Say whether costs and usage of *job* are known by now, if it has ended."""
        ended_at = job.latest.ended_at if job.latest else now
        return now >= ended_at + timedelta(seconds=self._lags.costs_seconds)

    def _is_away(self, job: BatchJob, now: datetime) -> bool:
        span = self._find_outage()
        if span is None or not span.contains(now) or job.created_at >= span.from_at:
            return False
        return draw(f"{self._seed}:{make_key(job.body)}:member") < self._federation.member_share

    def _find_outage(self) -> Span | None:
        first_at = self._first_created_at() if self._federation.away is not None else None
        if first_at is None or self._federation.away is None:
            return None
        return Span.after(first_at, self._federation.away)


def _is_younger(job: BatchJob, seconds: float, now: datetime) -> bool:
    return now < job.created_at + timedelta(seconds=seconds)
