"""Cancel rows of a campaign, whether or not a process runs it."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendError, BackendUnavailableError, UsageError
from openeo_jobs.jobs import Job
from openeo_jobs.status import ACTIVE, JobStatus
from openeo_jobs.storage.store import JobStore, find_database, open_store
from openeo_jobs.tracking.canceler import cancel_without_run
from openeo_jobs.tracking.runner import find_alive

GRACE = timedelta(seconds=120)
"""How long a start may be on its way; the default of a run."""
CANCELABLE = ACTIVE | {JobStatus.NOT_STARTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """What became of the rows that were to be canceled, by their numbers.

    `canceled`: they are. `asked`: it is stored, and a run does it: the one that goes on, or the next.
    `left`: there is nothing to cancel, or they wait for a person first. `errors`: why a backend that was
    asked did not do it; those rows are in `asked`, too.
    """

    canceled: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    errors: Mapping[int, str] = field(default_factory=dict)
    is_run: bool = False
    """Whether a process runs the campaign now."""


def cancel(
    path: str | Path,
    *,
    rows: int | Iterable[int] = (),
    statuses: str | Iterable[str] = (),
    where: str | None = None,
    connections: Mapping[str, Any | Callable[[], Any]] | None = None,
) -> Canceled:
    """Cancel rows of the campaign at *path*: its database, or its CSV or Parquet file.

    *rows* are numbers, from 1; *statuses* words such as `"running"`; *where* is an SQL condition over view
    `jobs`, such as `"year = 2020 AND status = 'queued'"`. Rows that any of them names are canceled.

    Rows that have not begun are `canceled` at once. Of the others the request is stored, never to be lost,
    and the process that runs the campaign asks their backends in its next round. Where none does, they are
    asked here, as far as *connections* has, by their names, an `openeo.Connection` or a callable that makes
    one; the next run does the rest. Rows that were canceled go back in line with `openeo-jobs retry`.

    Raises `UsageError` where nothing is named, for a status in which nothing can be canceled, and for a
    condition that is none; `OpenEOJobsError` for a row that does not exist; `DatabaseError` for a database
    that cannot be used.
    """
    numbers = [rows] if isinstance(rows, int) else list(rows)
    words = check_statuses([statuses] if isinstance(statuses, str) else statuses)
    if not numbers and not words and where is None:
        raise UsageError('cancel: which rows? Give rows=[...], statuses=[...] or where="..."')
    with open_store(find_database(path)) as store:
        chosen = store.selections.find(rows=numbers, statuses=words, where=where)
        return cancel_rows(store, chosen, connections or {}, reason=f"by {getpass.getuser()}: cancel")


def cancel_rows(
    store: JobStore,
    numbers: Collection[int],
    connections: Mapping[str, Any | Callable[[], Any]],
    *,
    reason: str,
) -> Canceled:
    """Cancel the rows with these *numbers* of an open *store*; see `cancel`."""
    requested = store.cancellations.request(numbers, reason=reason, at=_now())
    done: list[int] = []
    errors: dict[int, str] = {}
    is_run = is_alive(store)
    if not is_run:
        connect = _Connecting(connections)
        for job in store.jobs.with_numbers(requested.by_backend):
            if job.backend_name in connections and job.batch_job_id is not None:
                _cancel_one(store, connect, job, done, errors)
    return Canceled(
        canceled=tuple(sorted([*requested.at_once, *done])),
        asked=tuple(number for number in requested.by_backend if number not in set(done)),
        left=tuple(requested.left),
        errors=errors,
        is_run=is_run,
    )


def is_alive(store: JobStore) -> bool:
    """Say whether a process runs the campaign now."""
    return any(runner.is_run for runner in find_alive(store.runners.open(), now=_now))


def check_statuses(words: Iterable[str]) -> list[JobStatus]:
    """Return the statuses that *words* name; raise `UsageError` for one in which nothing can be canceled."""
    words = list(words)
    for word in words:
        if word not in CANCELABLE:
            known = ", ".join(one for one in JobStatus if one in CANCELABLE)
            raise UsageError(f"cancel: {word!r} is no status that can be canceled; there are: {known}")
    return [JobStatus(word) for word in words]


def _cancel_one(
    store: JobStore, connect: _Connecting, job: Job, done: list[int], errors: dict[int, str]
) -> None:
    try:
        now = cancel_without_run(store, connect(str(job.backend_name)), job, now=_now, grace=GRACE)
    except BackendError as error:
        errors[job.number] = str(error)
    else:
        if now.status is JobStatus.CANCELED:
            done.append(job.number)


class _Connecting:
    """Connects to each backend once, also where that fails."""

    def __init__(self, connections: Mapping[str, Any | Callable[[], Any]]) -> None:
        self._connections = connections
        self._found: dict[str, Gateway | BackendError] = {}

    def __call__(self, name: str) -> Gateway:
        if name not in self._found:
            self._found[name] = self._connect(name)
        found = self._found[name]
        if isinstance(found, BackendError):
            raise found
        return found

    def _connect(self, name: str) -> Gateway | BackendError:
        given = self._connections[name]
        try:
            connection = given() if callable(given) else given
        except Exception as error:
            message = f"cannot connect to {name}: {type(error).__name__}: {error}"
            return as_backend_error(error) or BackendUnavailableError(message)
        return OpenEOGateway(name, lambda: connection)


def _now() -> datetime:
    return datetime.now(UTC)
