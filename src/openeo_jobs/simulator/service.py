"""What a backend does with batch jobs: create, change, start, stop, delete, hand out results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from openeo_jobs.simulator.access import Keys
from openeo_jobs.simulator.api_errors import ApiError, job_not_found, not_as_specified
from openeo_jobs.simulator.assets import ResultFile, find_file, make_files
from openeo_jobs.simulator.descriptions import CREDITS_PER_SECOND
from openeo_jobs.simulator.deviations import Deviations
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.planning import Treatment, make_key, plan_execution
from openeo_jobs.simulator.registry import Registry
from openeo_jobs.simulator.sight import Sight
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
        treatment: Treatment,
        deviations: Deviations,
        keys: Keys,
        clock: Clock,
        concurrent_jobs: int | None,
    ) -> None:
        self.name = name
        self.registry = registry
        self.treatment = treatment
        self.deviations = deviations
        self.sight = Sight(deviations, seed=treatment.seed, first_created_at=registry.get_first_created_at)
        self.keys = keys
        self.clock = clock
        self.concurrent_jobs = concurrent_jobs

    def log_in(self, user: str) -> str:
        """Return a new token of *user*."""
        return self.keys.make_token(user, until_at=self._add(self.deviations.token_seconds))

    def identify(self, authorization: str | None) -> str:
        """Return the user of a header `Authorization`."""
        if authorization is None:
            raise ApiError(401, "AuthenticationRequired", "Unauthorized: log in first.")
        user = self.keys.read_token(authorization, now=self.clock())
        if user is None:
            message = "Authorization token is invalid or has expired. Log in again."
            status = self.deviations.answers.bad_token
            if status in (401, 403):
                raise ApiError(status, "TokenInvalid", message)
            raise not_as_specified(status, message)
        return user

    def sign(self, path: str) -> str:
        """Make the query of a link by which anybody can read *path*."""
        return self.keys.sign(path, until_at=self._add(self.deviations.files.link_seconds))

    def find(self, batch_job_id: str, user: str | None) -> BatchJob:
        """Return the batch job; those of other users do not exist. None: whosever it is."""
        job = self.registry.get(batch_job_id)
        if job is None or user not in (None, job.user) or not self.sight.knows(job, self.clock()):
            raise job_not_found(batch_job_id, status=self.deviations.answers.unknown_job)
        return job

    def list_page(self, user: str, *, after: int, limit: int | None) -> list[tuple[int, BatchJob]]:
        """Return up to *limit* batch jobs that *user* sees behind place *after*, with their places."""
        now = self.clock()
        return self.registry.list_page(
            lambda job: job.user == user and self.sight.lists(job, now), after=after, limit=limit
        )

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
            job.started_with(plan_execution(job.body, treatment=self.treatment, attempt=attempt, now=now))
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
        status = self._require_results(job, is_partial=is_partial)
        return make_files(job, status, more=self.deviations.files.more)

    def get_file(self, job: BatchJob, name: str) -> ResultFile | None:
        """Return one file of the results of *job*, which may be running; None: there is none of that name."""
        status = self._require_results(job, is_partial=True)
        return find_file(job, status, name, more=self.deviations.files.more)

    def estimate(self) -> dict[str, Any]:
        """Return what a batch job will probably cost and take: the mean of what this backend does."""
        seconds = sum(self.treatment.run_seconds) / 2
        return {
            "costs": round(seconds * CREDITS_PER_SECOND, 2),
            "duration": f"PT{seconds:.3f}S",
            "size": _SIZE_OF_RESULTS,
        }

    def _require_results(self, job: BatchJob, *, is_partial: bool) -> JobStatus:
        status = job.status_at(self.clock())
        if status == JobStatus.CREATED:
            raise ApiError(400, "JobNotStarted", f"The batch job '{job.id}' has not been started.")
        if status == JobStatus.QUEUED or (status == JobStatus.RUNNING and not is_partial):
            raise ApiError(
                400, "JobNotFinished", f"The batch job '{job.id}' is {status} and has no results yet."
            )
        return status

    def _require_budget(self, job: BatchJob) -> None:
        budget, costs = job.body.get("budget"), self.estimate()["costs"]
        if isinstance(budget, int | float) and budget < costs:
            message = f"The budget of the batch job is {budget} credits, but it will cost about {costs}."
            raise ApiError(402, "PaymentRequired", message)

    def _require_place(self, job: BatchJob, now: datetime) -> None:
        limit = self.concurrent_jobs
        if limit is not None and self.registry.count_active(job.user, now) >= limit:
            message = f"Job was not started because concurrent job limit ({limit}) is reached."
            raise ApiError(self.deviations.answers.start_beyond, "ConcurrentJobLimit", message)

    def _add(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else self.clock() + timedelta(seconds=seconds)


def _require_process(process: object) -> None:
    graph = process.get("process_graph") if isinstance(process, Mapping) else None
    if not isinstance(graph, Mapping) or not graph:
        raise ApiError(400, "ProcessGraphMissing", "No valid process graph specified.")
