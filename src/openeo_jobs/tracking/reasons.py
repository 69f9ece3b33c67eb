"""Why batch jobs failed: their error logs, which are fetched and written beside their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import ErrorClass, Job
from openeo_jobs.policy.endings import describe_silence, error_message
from openeo_jobs.policy.failures import make_remote_failure
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking.downloader import try_again
from openeo_jobs.tracking.files import write_error_logs
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log


def ask_error_logs(run: Run, job: Job) -> None:
    """Fetch the error logs of a failed job, in a thread; they are also why it failed."""
    run.ask("logs", job, _fetch_reason)


def record_error_logs(run: Run, results: Sequence[Done]) -> None:
    """Store why batch jobs failed, and write their error logs where the hook is not the user's."""
    for done in results:
        try:
            _record(run, done)
        except JobMovedError as error:
            log.info("%s", error)


def _record(run: Run, done: Done) -> None:
    job: Job = done.subject
    if done.error is not None:
        if not try_again(run, job, done.error, what="error logs"):
            _store_reason(run, job, f"(the error logs could not be fetched: {done.error})")
        return
    entries, message = done.value
    try:
        if not run.user_code.has_hook(JobStatus.ERROR):
            write_error_logs(run.user_code.error_log_path(job), entries)
    except Exception as error:  # the disk, or an override of the user's
        run.log_once(("logs", job.number), "row %d: error logs not written: %s", job.number, error)
    _store_reason(run, job, message)


def _fetch_reason(gateway: Gateway, batch_job_id: str) -> tuple[list[dict[str, Any]], str]:
    """Fetch the error logs of a batch job, and why it failed: their last message, else the last log line."""
    entries = gateway.get_error_logs(batch_job_id)
    message = error_message(entries)
    return entries, message or describe_silence(gateway.get_last_log_line(batch_job_id))


def _store_reason(run: Run, job: Job, message: str) -> None:
    failure = make_remote_failure(message, at=run.now())
    log.warning("row %d: %s: %s", job.number, ErrorClass.REMOTE_ERROR, message)
    run.store.endings.record_failure(job, failure)
