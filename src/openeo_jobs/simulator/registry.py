"""The batch jobs of a simulator: all in memory, every change in the journal first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path

from openeo_jobs.simulator.journal import Journal
from openeo_jobs.simulator.lifecycle import BatchJob


class Registry:
    """What is known of every batch job that ever was; no question about one of them looks at the others."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self._jobs: dict[str, BatchJob] = {}
        self._order: list[str] = []
        self._active: set[str] = set()
        self._starts: Counter[str] = Counter()
        for job in self._journal.read().values():
            self._remember(job)

    def put(self, job: BatchJob) -> None:
        """Store *job*, which is new or has changed."""
        self._journal.append(job, before=self._jobs.get(job.id))
        self._remember(job)

    def get(self, batch_job_id: str) -> BatchJob | None:
        """Return the batch job, unless it is unknown or was deleted."""
        job = self._jobs.get(batch_job_id)
        return job if job is not None and job.deleted_at is None else None

    def list_all(self) -> tuple[BatchJob, ...]:
        """Return every batch job, the deleted ones included; also from another thread."""
        return tuple(self._jobs.values())

    def list_page(
        self, is_wanted: Callable[[BatchJob], bool], *, after: int, limit: int | None
    ) -> list[tuple[int, BatchJob]]:
        """Return up to *limit* batch jobs that are wanted behind place *after*, oldest first, with places."""
        found = (
            (place, job)
            for place in range(after, len(self._order))
            if (job := self.get(self._order[place])) is not None and is_wanted(job)
        )
        return list(islice(((place + 1, job) for place, job in found), limit))

    def get_first_created_at(self) -> datetime | None:
        """Return when the first batch job was created; None while there is none."""
        return self._jobs[self._order[0]].created_at if self._order else None

    def count(self) -> int:
        """Count the batch jobs that ever were."""
        return len(self._order)

    def count_starts(self, key: str) -> int:
        """Count the starts of all batch jobs with the same key."""
        return self._starts[key]

    def count_active(self, user: str, now: datetime) -> int:
        """Count the batch jobs of *user* that are queued or running."""
        self._active = {job_id for job_id in self._active if self._jobs[job_id].is_active_at(now)}
        return sum(self._jobs[job_id].user == user for job_id in self._active)

    def close(self) -> None:
        """Close the journal; what is in memory stays."""
        self._journal.close()

    def _remember(self, job: BatchJob) -> None:
        before = self._jobs.get(job.id)
        if before is None:
            self._order.append(job.id)
        for execution in job.executions[len(before.executions) if before else 0 :]:
            self._starts[execution.key] += 1
            self._active.add(job.id)
        self._jobs[job.id] = job
