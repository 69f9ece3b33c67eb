"""Delete orphans on their backends, because a person said so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendRefusedError
from openeo_jobs.jobs import Observation
from openeo_jobs.policy.failures import is_not_found
from openeo_jobs.policy.orphans import Settlement
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.orphans import Orphan
from openeo_jobs.storage.store import JobStore


class Deletion(StrEnum):
    """What became of an orphan that was to be deleted."""

    DELETED = "deleted"
    GONE = "gone already"
    KEPT = "its backend said yes, and still has it"
    USED = "a row uses it by now, or somebody has decided about it"
    STARTED = "it was started; name it to delete it all the same"
    HIDDEN = "it is another account's, which has to delete it"


def delete_orphan(
    store: JobStore, gateway: Gateway, orphan: Orphan, *, even_if_started: bool, at: datetime
) -> Deletion:
    """Delete one orphan, if it still is one; what `start_job` asked to start is never deleted.

    One that is not `created` on its backend has run or runs: it is deleted only with *even_if_started*.
    Raises `BackendError` where the backend does not answer, or refuses.
    """
    seen = look(gateway, orphan.batch_job_id)
    if seen is not None and (orphan.was_started or (not even_if_started and _has_run(seen))):
        return Deletion.STARTED
    if orphan.id not in {one.id for one in store.orphans.open()}:
        return Deletion.USED
    if seen is not None:
        gateway.delete(orphan.batch_job_id)
        if look(gateway, orphan.batch_job_id) is not None:
            return Deletion.KEPT
    elif orphan.account is not None and gateway.get_account() not in (None, orphan.account):
        return Deletion.HIDDEN
    store.orphans.settle([orphan.id], Settlement.DELETED, at=at)
    return Deletion.GONE if seen is None else Deletion.DELETED


def _has_run(seen: Observation) -> bool:
    return seen.status != JobStatus.CREATED


def look(gateway: Gateway, batch_job_id: str) -> Observation | None:
    """Ask for a batch job; None where its backend does not know it."""
    with suppress_not_found():
        return gateway.get_batch_job(batch_job_id)
    return None


@contextmanager
def suppress_not_found() -> Iterator[None]:
    """Go on where a backend answers that it does not know a batch job."""
    try:
        yield
    except BackendRefusedError as error:
        if not is_not_found(error):
            raise
