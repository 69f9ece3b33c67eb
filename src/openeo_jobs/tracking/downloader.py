"""Fetch what batch jobs leave behind: results, metadata, error logs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendAnswerError, BackendError, JobMovedError
from openeo_jobs.jobs import Asset, ErrorClass, Job, ResultsStatus
from openeo_jobs.policy.endings import describe_silence, error_message, next_download
from openeo_jobs.policy.failures import make_remote_failure
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import poller
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log

RESULTS_DOCUMENT = "job-results.json"


def ask_results(run: Run, job: Job) -> None:
    """Fetch the results of a finished job, in a thread."""
    try:
        folder = run.user_code.job_folder(str(job.batch_job_id))
        metadata_path = run.user_code.metadata_path(str(job.batch_job_id))
    except Exception as error:  # an override of the user's
        _try_again(run, job, error, what="results")
        return
    if job.results_status is not ResultsStatus.DOWNLOADING:
        run.store.endings.record_downloading(job)
    run.ask("download", job, lambda gateway, one: fetch_results(gateway, one, folder, metadata_path))


def ask_error_logs(run: Run, job: Job) -> None:
    """Fetch the error logs of a failed job, in a thread; they are also why it failed."""
    run.ask("logs", job, fetch_reason)


def record_results(run: Run, results: Sequence[Done]) -> None:
    """Store which results are on disk, and which are to be tried again."""
    _each(run, results, _record_result)


def record_error_logs(run: Run, results: Sequence[Done]) -> None:
    """Store why batch jobs failed, and write their error logs where the hook is not the user's."""
    _each(run, results, _record_error_log)


def check_files(run: Run) -> None:
    """Find results that were on disk and are not any more; they are fetched again.

    Where the hook is the user's, it may have moved them: they are its business.
    """
    if run.user_code.has_hook(JobStatus.FINISHED):
        return
    missing = [
        job for job, assets in run.store.endings.downloaded(run.runner_id) if not _is_here(run, job, assets)
    ]
    if missing:
        log.warning("the results of %d finished rows are not on disk; they are fetched again", len(missing))
        run.store.endings.record_missing(missing)


def fetch_results(gateway: Gateway, batch_job_id: str, folder: Path, metadata_path: Path) -> list[Asset]:
    """Download results and metadata of one batch job to upstream's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = gateway.get_batch_job(batch_job_id)
    write_json(metadata_path, dict(seen.metadata))
    try:
        return gateway.download_results(batch_job_id, folder)
    except BackendError as error:
        # Assets may lie on other hosts: what goes wrong there says nothing of the backend.
        raise BackendAnswerError(
            str(error), http_status=error.http_status, code=error.code, retry_after=error.retry_after
        ) from error


def fetch_reason(gateway: Gateway, batch_job_id: str) -> tuple[list[dict[str, Any]], str]:
    """Fetch the error logs of a batch job, and why it failed: their last message, else the last log line."""
    entries = gateway.get_error_logs(batch_job_id)
    message = error_message(entries)
    return entries, message or describe_silence(gateway.get_last_log_line(batch_job_id))


def write_error_logs(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write error logs as upstream does: only where there are any."""
    if entries:
        write_json(path, list(entries))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _each(run: Run, results: Sequence[Done], record: Callable[[Run, Done], None]) -> None:
    """Record each; where somebody else has taken the job over, the others go on."""
    for done in results:
        try:
            record(run, done)
        except JobMovedError as error:
            log.info("%s", error)


def _record_result(run: Run, done: Done) -> None:
    if done.error is None:
        run.stats["job download"] += 1
        run.store.endings.record_downloaded(done.subject, done.value, at=run.now())
    else:
        _try_again(run, done.subject, done.error, what="results")
        poller.ask_again(run, [done.subject])  # perhaps it has not finished after all


def _record_error_log(run: Run, done: Done) -> None:
    job: Job = done.subject
    if done.error is not None:
        if not _try_again(run, job, done.error, what="error logs"):
            _store_reason(run, job, f"(the error logs could not be fetched: {done.error})")
        return
    entries, message = done.value
    try:
        if not run.user_code.has_hook(JobStatus.ERROR):
            write_error_logs(run.user_code.error_log_path(str(job.batch_job_id)), entries)
    except Exception as error:  # the disk, or an override of the user's
        run.log_once(("logs", job.number), "row %d: error logs not written: %s", job.number, error)
    _store_reason(run, job, message)


def _is_here(run: Run, job: Job, assets: Sequence[Asset]) -> bool:
    try:
        folder = run.user_code.job_folder(str(job.batch_job_id))
    except Exception as error:  # an override of the user's
        run.log_once(("folder", job.number), "row %d: its folder is not known: %s", job.number, error)
        return True
    if not (folder / RESULTS_DOCUMENT).exists():
        return False
    return all(_has_size(folder / asset.path.name, asset.size) for asset in assets)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _try_again(run: Run, job: Job, error: Exception, *, what: str) -> bool:
    """Store that something could not be fetched; return whether it is tried again in this run."""
    at = run.now()
    paused_until = run.pause(str(job.backend_name), error)
    # A backend that is paused fails no row: such a try does not count.
    tries = job.results_tries + (paused_until is None)
    again_at = paused_until or next_download(
        tries,
        at=at,
        poll_sleep=run.settings.poll_sleep,
        retry_after=error.retry_after if isinstance(error, BackendError) else None,
    )
    level = log.info if again_at else log.error
    level("row %d: %s not fetched (try %d): %s", job.number, what, tries, error)
    run.store.endings.record_download_failed(job, message=str(error), tries=tries, again_at=again_at)
    return again_at is not None


def _store_reason(run: Run, job: Job, message: str) -> None:
    failure = make_remote_failure(message, at=run.now())
    log.warning("row %d: %s: %s", job.number, ErrorClass.REMOTE_ERROR, message)
    run.store.endings.record_failure(job, failure)
