"""What a campaign consists of, as frozen values: jobs, attempts, batch jobs, what backends say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from openeo_jobs.status import JobStatus


class ErrorClass(StrEnum):
    """What kind of failure it was, and so what is done about it (see `openeo_jobs.policy`)."""

    TRANSIENT = "transient"
    LIMIT = "limit"
    AUTH = "auth"
    PAYMENT = "payment"
    PERMANENT = "permanent"
    REMOTE_ERROR = "remote error"
    INTERRUPTED = "interrupted"


class Outcome(StrEnum):
    """What became of a create request; `returned` and `adopted`: a batch job that was found or handed in."""

    UNKNOWN = "unknown"
    CREATED = "created"
    NOT_CREATED = "not_created"
    ADOPTED = "adopted"
    RETURNED = "returned"
    COPY = "copy"
    """One more batch job with the tag of another: a proxy has repeated the request."""


class ResultsStatus(StrEnum):
    """How far the results of a finished job are."""

    PENDING = "pending"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    FAILED = "failed"
    NOT_WANTED = "not_wanted"


class HookStatus(StrEnum):
    """How far the hook of a finished job is, of which all else is here."""

    DUE = "due"
    FAILED = "failed"


def is_complete(status: JobStatus, results_status: ResultsStatus | str | None) -> bool:
    """Say whether a row is complete: finished, and its results are on disk or not wanted."""
    settled = (ResultsStatus.DOWNLOADED, ResultsStatus.NOT_WANTED)
    return status is JobStatus.FINISHED and results_status in settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the user's dataframe: its name, and what it takes to rebuild its dtype."""

    name: str
    dtype: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """A content that was written to a mirror, or was about to be: its hash, and what it shows.

    `mark` is the number of the latest change of status in it.
    """

    content_hash: str
    mark: int
    is_there: bool
    """False until it is certain that the mirror held it."""
    is_edit: bool = False
    """Somebody has written it, and it was taken over: it is no news until the mirror is written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """The campaign of a database.

    `mirrors` has the contents of each mirror that are ours, by its path, the latest last. `taken_over_from`
    is what another manager had begun it in. `edition` counts the changes of columns, cells, pins and order.
    """

    uid: str
    created_at: datetime
    columns: tuple[Column, ...]
    index: Column
    geometry: str | None
    mirrors: Mapping[str, tuple[Mirrored, ...]]
    taken_over_from: str | None = None
    edition: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed: class, message, HTTP status, openEO code, time, and the message normalised."""

    error_class: ErrorClass
    message: str
    at: datetime
    http_status: int | None = None
    code: str | None = None
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """What the database knows of one batch job, from the moment its create request was about to leave."""

    id: int
    """Its number in the database; the openEO id is `batch_job_id`."""
    backend_name: str
    outcome: Outcome
    batch_job_id: str | None = None
    tag: str | None = None
    fingerprint: str | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    absent_since: datetime | None = None
    """When a complete listing first did not contain its tag."""
    start_sent_at: datetime | None = None
    deleted_at: datetime | None = None
    """When it was deleted on its backend, because a person said so."""
    vain_starts: int = 0
    """How many starts had no effect: it was seen `created` twice afterwards, a grace period apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to get a job computed; it chooses at most one batch job."""

    id: int
    number: int
    backend_name: str
    began_at: datetime
    ended_at: datetime | None = None
    batch_job: BatchJob | None = None
    start_time: datetime | None = None
    running_start_time: datetime | None = None
    backend_status: str | None = None
    """The last word of the backend, as it was."""
    created_seen_at: datetime | None = None
    """When `created` was first seen after the start was asked for."""
    not_found_since: datetime | None = None
    not_found_count: int = 0
    failure: Failure | None = None
    costs: float | None = None
    currency: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    hook_returned_at: datetime | None = None
    hook_error: str | None = None
    hook_tries: int = 0
    """How often the hook has raised."""
    hook_not_before: datetime | None = None
    hook_failed_runner_id: int | None = None
    """The runner in which the hook has raised for the last time; another one begins anew."""
    backend_created_at: datetime | None = None
    backend_queued_at: datetime | None = None
    backend_started_at: datetime | None = None
    backend_ended_at: datetime | None = None
    """These four by the clock of the backend, where it says so; the others are by ours."""
    cancel_tries: int = 0
    cancel_not_before: datetime | None = None
    cancel_error: str | None = None
    """Why the backend did not cancel it when it was last asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One line of a campaign. `attempt` is the latest one, None before the first."""

    number: int
    position: int
    index_label: str
    params: str
    status: JobStatus
    status_since: datetime
    pinned_backend: str | None = None
    priority: float = 0.0
    owner_id: int | None = None
    attempt: Attempt | None = None
    not_before: datetime | None = None
    cancel_requested_at: datetime | None = None
    needs_person_since: datetime | None = None
    needs_person_reason: str | None = None
    results_status: ResultsStatus | None = None
    results_tries: int = 0
    results_not_before: datetime | None = None
    user_status: str | None = None

    @property
    def batch_job_id(self) -> str | None:
        """The openEO id of the batch job that the latest attempt chose."""
        if self.attempt is None or self.attempt.batch_job is None:
            return None
        return self.attempt.batch_job.batch_job_id

    @property
    def backend_name(self) -> str | None:
        """The backend of the latest attempt; before the first, the one that the user chose."""
        return self.attempt.backend_name if self.attempt is not None else self.pinned_backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a backend says of one batch job (openEO API, `GET /jobs/{job_id}`).

    `status` is the backend's word as it is, possibly one that nobody knows. `usage` has numbers with units
    (`{"cpu": {"value": 12.5, "unit": "cpu-seconds"}, ...}`), `metadata` is as the backend gave it. Times are
    by the backend's clock, None where it does not say.
    """

    batch_job_id: str
    status: str
    title: str | None = None
    created: str | None = None
    costs: float | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All batch jobs of the account (openEO API, `GET /jobs`, every page).

    Only a complete listing proves that something is absent: the last page was reached, and no part of a
    federation was missing.
    """

    batch_jobs: Sequence[Observation]
    is_complete: bool
    is_part_missing: bool = False
    """Whether a part of a federation did not answer: what is found nowhere may be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A backend as an account finds it. `parallel_jobs` was given; without `paused_account` all pause."""

    name: str
    url: str | None = None
    parallel_jobs: int = 2
    learned_cap: int | None = None
    """How many jobs were active there when it refused one more, at `learned_at`."""
    learned_at: datetime | None = None
    paused_class: ErrorClass | None = None
    paused_account: str | None = None
    paused_reason: str | None = None
    paused_remedy: str | None = None
    """The command that mends it, where there is one."""
    paused_since: datetime | None = None
    retry_at: datetime | None = None
    is_polled: bool = True
    """Whether it is asked for statuses while it is paused."""
    failures_in_a_row: int = 0
    """How many pauses it took since it last did what it was asked for."""
    fuse_since: datetime | None = None
    fuse_reason: str | None = None
    """What so many attempts in a row failed of that nothing new is created there."""
    keeps_titles: bool | None = None
    """Whether listings have titles as they were sent; None before one showed a batch job of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A process that works on the campaign, or did; one that is silent counts as alive for its `lease`."""

    uuid: str
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    process_started_at: str
    started_at: datetime
    command: str
    folder: str
    heartbeat_at: datetime
    last_round_at: datetime | None = None
    ended_at: datetime | None = None
    lease: timedelta = timedelta(seconds=120)
    id: int | None = None

    @property
    def is_run(self) -> bool:
        """Whether it does rounds; a command that fetches results is no run."""
        return self.last_round_at is not None
