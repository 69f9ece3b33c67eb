"""What really happened on a simulator, to be held against what a tracker believes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from openeo_jobs.simulator.descriptions import get_costs
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.tags import read_tag, strip_tag
from openeo_jobs.status import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueBatchJob:
    """One batch job as the backend knows it.

    - `row`: the row's number from the tag of the title; without a tag the title itself.
    - `campaign`: the campaign from the tag; None without a tag.
    - `starts`: how often a start request put it into the queue.
    - `executions`: how often it ran, or will: the starts less those that were stopped in the queue.
    - `vanishes_at`: from when on nobody finds it; None: never. Its `status` is what it is all the same.
    - `costs`: credits, of all executions; None while the latest one has not ended.
    """

    id: str
    title: str | None
    user: str
    row: int | str
    campaign: str | None
    created_at: datetime
    deleted_at: datetime | None
    status: JobStatus
    starts: int
    executions: int
    vanishes_at: datetime | None
    costs: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Everything that happened since the folder was first used, deleted batch jobs included.

    - `batch_jobs`: in order of creation.
    - `peak_parallel`: how many were queued or running at the same instant at most, of all users; one that is
      queued or running now counts up to its planned end.
    """

    batch_jobs: tuple[TrueBatchJob, ...]
    peak_parallel: int

    @property
    def executions(self) -> dict[str, int]:
        """How often each batch job ran, by its id."""
        return {job.id: job.executions for job in self.batch_jobs}

    @property
    def batch_jobs_per_row(self) -> dict[int | str, tuple[TrueBatchJob, ...]]:
        """The batch jobs of each row (see `TrueBatchJob.row`), in order of creation."""
        rows: dict[int | str, tuple[TrueBatchJob, ...]] = {}
        for job in self.batch_jobs:
            rows[job.row] = (*rows.get(job.row, ()), job)
        return rows

    @property
    def executions_per_row(self) -> Mapping[int | str, int]:
        """How often the batch jobs of each row ran."""
        return {row: sum(job.executions for job in jobs) for row, jobs in self.batch_jobs_per_row.items()}


def tell_truth(jobs: Iterable[BatchJob], now: datetime) -> Truth:
    """Sum up *jobs* as they are *now*."""
    known = tuple(jobs)
    return Truth(batch_jobs=tuple(_describe(job, now) for job in known), peak_parallel=_find_peak(known))


def _describe(job: BatchJob, now: datetime) -> TrueBatchJob:
    tag = read_tag(job.title)
    return TrueBatchJob(
        id=job.id,
        title=job.title,
        user=job.user,
        row=tag.row if tag else strip_tag(job.title),
        campaign=tag.campaign if tag else None,
        created_at=job.created_at,
        deleted_at=job.deleted_at,
        status=job.status_at(now),
        starts=len(job.executions),
        executions=sum(execution.ever_ran for execution in job.executions),
        vanishes_at=job.vanishes_at,
        costs=get_costs(job, now),
    )


def _find_peak(jobs: Iterable[BatchJob]) -> int:
    """Count at every instant at which something began or ended."""
    changes: Counter[datetime] = Counter()
    for job in jobs:
        for execution in job.executions:
            changes[execution.queued_at] += 1
            changes[execution.ended_at] -= 1
    peak = parallel = 0
    for at in sorted(changes):
        parallel += changes[at]
        peak = max(peak, parallel)
    return peak
