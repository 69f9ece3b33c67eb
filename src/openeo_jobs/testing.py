"""What it takes to test code around openeo-jobs without a backend: a gateway in memory, and jobs."""

from __future__ import annotations

import copy
import hashlib
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openeo_jobs.assets import Fetched, Offer, Results
from openeo_jobs.backends.fetching import Terms
from openeo_jobs.errors import BackendError, BackendRefusedError
from openeo_jobs.jobs import Job, Listing, Observation
from openeo_jobs.status import ENDED, JobStatus

__all__ = ["FakeBatchJob", "FakeGateway", "make_job"]

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_INERT = ENDED | {JobStatus.CREATED}


def make_job(**overrides: Any) -> Job:
    """Make a job, number 1, never submitted, but for *overrides*: fields of `openeo_jobs.jobs.Job`."""
    values: dict[str, Any] = {
        "number": 1,
        "position": overrides.get("number", 1) - 1,
        "index_label": "0",
        "params": "[]",
        "status": JobStatus.NOT_STARTED,
        "status_since": _EPOCH,
    }
    return Job(**(values | overrides))


@dataclass(slots=True, kw_only=True)
class FakeBatchJob:
    """A batch job of a `FakeGateway`; change it at will.

    - `status`: any text, as a backend might say it.
    - `starts`: how often it was put into the queue.
    - `account`: who has created it; for others it does not exist.
    - `is_listed`, `is_found`: False where a registry lags: absent from the listing, or answered with 404.
    - `results`: the assets, by file name.
    - `times`: those that it tells, by the names that they have in an `openeo_jobs.jobs.Observation`.
    """

    batch_job_id: str
    title: str | None = None
    account: str | None = None
    status: str = JobStatus.CREATED
    starts: int = 0
    costs: float | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    error_logs: list[dict[str, Any]] = field(default_factory=list)
    last_log_line: str | None = None
    results: dict[str, bytes] = field(default_factory=lambda: {"openEO.tif": b"GeoTIFF"})
    results_expire_at: datetime | None = None
    is_listed: bool = True
    is_found: bool = True
    times: Mapping[str, Any] = field(default_factory=dict)


class FakeGateway:
    """A `openeo_jobs.backends.gateway.Gateway` over batch jobs in memory, which follow the openEO API 1.2.0.

        gateway = FakeGateway("north")
        batch_job_id = gateway.create("tile 7")
        gateway.start(batch_job_id)
        gateway.batch_jobs[batch_job_id].status = "finished"

    Nothing moves by itself: a batch job that was started stays `queued` until somebody sets its status. Every
    call is noted in `calls` as (name of the method, arguments ...). May be used from any thread.

    - `batch_jobs`: by id, in the order of their creation.
    - `is_listing_complete`: what `list_batch_jobs` says of itself.
    - `currency`: what `get_currency` returns.
    - `account`: as whom it is logged in, None: the backend does not tell. `log_in_as` makes another one.
    """

    def __init__(
        self, name: str = "fake", *, currency: str | None = "credits", account: str | None = None
    ) -> None:
        self.batch_jobs: dict[str, FakeBatchJob] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.is_listing_complete = True
        self.currency = currency
        self.account = account
        self._name = name
        self._numbers = itertools.count(1)
        self._failures: dict[str, list[tuple[BackendError, bool]]] = {}
        self._lock = threading.RLock()

    def create(self, title: str | None = None, *, status: str = JobStatus.CREATED) -> str:
        """Create a batch job, as user code would, and return its id."""
        with self._lock:
            batch_job_id = f"{self._name}-{next(self._numbers)}"
            self.batch_jobs[batch_job_id] = FakeBatchJob(
                batch_job_id=batch_job_id, title=title, account=self.account, status=status
            )
            return batch_job_id

    def log_in_as(self, account: str | None) -> FakeGateway:
        """Return a gateway over the same backend, logged in as somebody else."""
        other = copy.copy(self)
        other.account = account
        return other

    def fail_next(
        self, method: str, error: BackendError, *, times: int = 1, after_effect: bool = False
    ) -> None:
        """Let the next *times* calls of *method* raise *error*, with *after_effect* once they are done.

        `fail_next("start", BackendUnavailableError("no answer in time"), after_effect=True)` is a start whose
        answer got lost.
        """
        with self._lock:
            self._failures.setdefault(method, []).extend([(error, after_effect)] * times)

    @property
    def name(self) -> str:
        """The name that the backend was registered under."""
        return self._name

    @property
    def url(self) -> str:
        """The root URL of the backend, which nobody answers at."""
        return f"https://{self._name}.invalid/"

    def get_batch_job(self, batch_job_id: str) -> Observation:
        """Ask for one batch job; an unknown one is refused with 404 `JobNotFound`."""
        with self._lock, self._call("get_batch_job", batch_job_id):
            return _observation(self._find(batch_job_id))

    def list_batch_jobs(self) -> Listing:
        """Ask for all batch jobs that are listed."""
        with self._lock, self._call("list_batch_jobs"):
            listed = tuple(_observation(job) for job in self.batch_jobs.values() if self._lists(job))
            return Listing(batch_jobs=listed, is_complete=self.is_listing_complete)

    def start(self, batch_job_id: str) -> None:
        """Put a batch job into the queue; one that has ended runs again, without its results."""
        with self._lock, self._call("start", batch_job_id):
            job = self._find(batch_job_id)
            if job.status in _INERT:
                job.status = JobStatus.QUEUED
                job.starts += 1
                job.results = {} if job.starts > 1 else job.results

    def stop(self, batch_job_id: str) -> None:
        """Stop a batch job: in the queue it becomes `created` again, while running `canceled`."""
        with self._lock, self._call("stop", batch_job_id):
            job = self._find(batch_job_id)
            if job.status == JobStatus.QUEUED:
                job.status = JobStatus.CREATED
            elif job.status == JobStatus.RUNNING:
                job.status = JobStatus.CANCELED

    def delete(self, batch_job_id: str) -> None:
        """Forget a batch job."""
        with self._lock, self._call("delete", batch_job_id):
            del self.batch_jobs[self._find(batch_job_id).batch_job_id]

    def get_error_logs(self, batch_job_id: str) -> list[dict[str, Any]]:
        """Return the error logs; none for an unknown batch job."""
        with self._lock, self._call("get_error_logs", batch_job_id):
            job = self.batch_jobs.get(batch_job_id)
            return [] if job is None else [dict(entry) for entry in job.error_logs]

    def get_account(self) -> str | None:
        """Return as whom it is logged in."""
        with self._lock, self._call("get_account"):
            return self.account

    def get_last_log_line(self, batch_job_id: str) -> str | None:
        """Return the last log line; None for an unknown batch job."""
        with self._lock, self._call("get_last_log_line", batch_job_id):
            job = self.batch_jobs.get(batch_job_id)
            return job.last_log_line if job is not None and job.is_found else None

    def get_currency(self) -> str | None:
        """Return the currency."""
        with self._lock, self._call("get_currency"):
            return self.currency

    def get_results(self, batch_job_id: str) -> Results:
        """Offer the results; refused before the end."""
        with self._lock, self._call("get_results", batch_job_id):
            job = self._find(batch_job_id)
            if job.status != JobStatus.FINISHED:
                raise _refusal(400, "JobNotFinished", f"batch job {batch_job_id} is {job.status}")
            offers = tuple(self._offer(job, name) for name in job.results)
            document = {"type": "Feature", "id": batch_job_id, "assets": {one.name: {} for one in offers}}
            return Results(document=document, offers=offers, expires_at=job.results_expire_at)

    def fetch(self, offer: Offer, path: Path, terms: Terms) -> Fetched:
        """Write one of the results to *path*; what is there already is written anew."""
        batch_job_id, _, name = offer.url.removeprefix(self.url).partition("/")
        with self._lock, self._call("fetch", batch_job_id, name):
            content = self._find(batch_job_id).results.get(name)
            if content is None:
                raise _refusal(404, "NotFound", f"{batch_job_id} has no {name}")
            path.write_bytes(content)
            return Fetched(size=len(content), checksum=hashlib.sha256(content).hexdigest())

    def _offer(self, job: FakeBatchJob, name: str) -> Offer:
        return Offer(
            name=name, filename=name, url=f"{self.url}{job.batch_job_id}/{name}", size=len(job.results[name])
        )

    def _find(self, batch_job_id: str) -> FakeBatchJob:
        job = self.batch_jobs.get(batch_job_id)
        if job is None or not job.is_found or self._hides(job):
            raise _refusal(404, "JobNotFound", f"there is no batch job {batch_job_id}")
        return job

    def _lists(self, job: FakeBatchJob) -> bool:
        return job.is_listed and not self._hides(job)

    def _hides(self, job: FakeBatchJob) -> bool:
        return None not in (job.account, self.account) and job.account != self.account

    def _call(self, method: str, *arguments: Any) -> _Call:
        self.calls.append((method, *arguments))
        failures = self._failures.get(method)
        return _Call(*failures.pop(0)) if failures else _Call(None, False)


class _Call:
    """Fails a call, before or after it was carried out."""

    def __init__(self, error: BackendError | None, after_effect: bool) -> None:
        self._error = error
        self._after_effect = after_effect

    def __enter__(self) -> None:
        if self._error is not None and not self._after_effect:
            raise self._error

    def __exit__(self, kind: object, *_: object) -> None:
        if self._error is not None and kind is None:
            raise self._error


def _observation(job: FakeBatchJob) -> Observation:
    return Observation(
        batch_job_id=job.batch_job_id,
        status=str(job.status),
        title=job.title,
        costs=job.costs,
        usage=job.usage,
        metadata={"id": job.batch_job_id, "status": str(job.status), "title": job.title},
        **job.times,
    )


def _refusal(http_status: int, code: str, message: str) -> BackendRefusedError:
    return BackendRefusedError(f"[{http_status}] {code}: {message}", http_status=http_status, code=code)
