"""What is the same for every single row: somebody else may have changed it, or it waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.tracking.run import Run, log


@contextmanager
def leaving_moved() -> Iterator[None]:
    """Leave a row alone that somebody else has changed meanwhile; the others go on."""
    try:
        yield
    except JobMovedError as error:
        log.info("%s", error)


def ask_person(run: Run, job: Job, reason: str) -> None:
    """Let a row wait for a person, and say so once."""
    if job.needs_person_reason != reason:
        log.error("row %d waits for a person: %s", job.number, reason)
        run.store.creations.ask_person(job, reason=reason, at=run.now())
