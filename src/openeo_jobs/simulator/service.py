"""What a backend does with batch jobs: create, change, start, stop, delete, hand out results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from openeo_jobs.simulator.access import Keys
from openeo_jobs.simulator.api_errors import ApiError, job_not_found
from openeo_jobs.simulator.assets import ResultFile, make_files
from openeo_jobs.simulator.descriptions import CREDITS_PER_SECOND
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.planning import Profile, make_key, plan_execution
from openeo_jobs.simulator.registry import Registry
from openeo_jobs.status import JobStatus

Clock = Callable[[], datetime]

_SIZE_OF_RESULTS = 2_000


class Service:
    """The batch jobs of a simulator, for its users; refuses with `ApiError`."""

    def __init__(
        self,
        *,
        name: str,
        registry: Registry,
        profile: Profile,
        keys: Keys,
        clock: Clock,
        concurrent_jobs: int | None,
    ) -> None:
        self.name = name
        self.registry = registry
        self.profile = profile
        self.keys = keys
        self.clock = clock
        self.concurrent_jobs = concurrent_jobs

    def find(self, batch_job_id: str, user: str) -> BatchJob:
        """Return the batch job; those of other users do not exist."""
        job = self.registry.get(batch_job_id)
        if job is None or job.user != user:
            raise job_not_found(batch_job_id)
        return job

    def create(self, body: Mapping[str, Any], user: str) -> BatchJob:
        """Create a batch job, which does nothing until it is started."""
        _require_process(body.get("process"))
        prefix = re.sub(r"[^\w.~-]+", "-", self.name, flags=re.ASCII)
        job = BatchJob(
            id=f"{prefix}-{self.registry.count() + 1:05d}",
            user=user,
            created_at=self.clock(),
            body=dict(body),
        )
        self.registry.put(job)
        return job

    def patch(self, job: BatchJob, changes: Mapping[str, Any]) -> None:
        """Change the body of *job*, unless it is queued or running."""
        if job.is_active_at(self.clock()):
            raise ApiError(
                400, "JobLocked", f"The batch job '{job.id}' is queued or running and cannot be changed."
            )
        if "process" in changes:
            _require_process(changes["process"])
        self.registry.put(job.patched_with(changes))

    def start(self, job: BatchJob) -> None:
        """Put *job* into the queue; on a queued or running one this has no effect, any other begins anew."""
        now = self.clock()
        if job.is_active_at(now):
            return
        self._require_budget(job)
        self._require_place(job, now)
        attempt = self.registry.count_starts(make_key(job.body)) + 1
        self.registry.put(
            job.started_with(plan_execution(job.body, profile=self.profile, attempt=attempt, now=now))
        )

    def stop(self, job: BatchJob) -> None:
        """Stop *job*: `created` if it was queued, `canceled` with partial results if it was running."""
        stopped = job.stopped_at(self.clock())
        if stopped is not job:
            self.registry.put(stopped)

    def delete(self, job: BatchJob) -> None:
        """Delete *job* and its results, and stop it if need be."""
        self.registry.put(job.deleted(self.clock()))

    def get_files(self, job: BatchJob, *, is_partial: bool) -> list[ResultFile]:
        """Return the results of *job*; those of a running one only if partial ones are asked for."""
        status = job.status_at(self.clock())
        if status == JobStatus.CREATED:
            raise ApiError(400, "JobNotStarted", f"The batch job '{job.id}' has not been started.")
        if status == JobStatus.QUEUED or (status == JobStatus.RUNNING and not is_partial):
            raise ApiError(
                400, "JobNotFinished", f"The batch job '{job.id}' is {status} and has no results yet."
            )
        return make_files(job, status)

    def estimate(self) -> dict[str, Any]:
        """Return what a batch job will probably cost and take: the mean of what this backend does."""
        seconds = sum(self.profile.run_seconds) / 2
        return {
            "costs": round(seconds * CREDITS_PER_SECOND, 2),
            "duration": f"PT{seconds:.3f}S",
            "size": _SIZE_OF_RESULTS,
        }

    def _require_budget(self, job: BatchJob) -> None:
        budget, costs = job.body.get("budget"), self.estimate()["costs"]
        if isinstance(budget, int | float) and budget < costs:
            message = f"The budget of the batch job is {budget} credits, but it will cost about {costs}."
            raise ApiError(402, "PaymentRequired", message)

    def _require_place(self, job: BatchJob, now: datetime) -> None:
        limit = self.concurrent_jobs
        if limit is not None and self.registry.count_active(job.user, now) >= limit:
            message = f"Job was not started because concurrent job limit ({limit}) is reached."
            raise ApiError(400, "ConcurrentJobLimit", message)


def _require_process(process: object) -> None:
    graph = process.get("process_graph") if isinstance(process, Mapping) else None
    if not isinstance(graph, Mapping) or not graph:
        raise ApiError(400, "ProcessGraphMissing", "No valid process graph specified.")
