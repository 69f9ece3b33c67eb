"""Put rows that failed back in line, where the class of their failure allows another attempt."""

from __future__ import annotations

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.attempts import is_tried_again, next_attempt
from openeo_jobs.tracking.run import Run, log


def retry(run: Run) -> None:
    """Give the rows that failed another attempt, as far as `max_attempts` allows; the old ones are kept."""
    kinds = [kind for kind, number in run.settings.max_attempts.items() if number > 1]
    for job, failed in run.store.failures.failed(kinds, runner_id=run.runner_id) if kinds else ():
        try:
            _retry_one(run, job, failed)
        except JobMovedError as error:
            log.info("%s", error)


def _retry_one(run: Run, job: Job, failed: int) -> None:
    attempt = job.attempt
    failure = attempt.failure if attempt is not None else None
    if failure is None or not is_tried_again(failure.error_class, failed, run.settings.max_attempts):
        return
    not_before = next_attempt(
        failure.at, failed, poll_sleep=run.settings.poll_sleep, chance=run.take_chance()
    )
    run.stats["job retried"] += 1
    log.info("row %d: back in line after %d failed attempts (%s)", job.number, failed, failure.error_class)
    run.store.failures.retry(job, reason=failure.message, at=run.now(), not_before=not_before)
