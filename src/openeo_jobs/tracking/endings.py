"""What is done for jobs that have ended: results and error logs in threads, hooks in this one."""

from __future__ import annotations

from collections.abc import Collection

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.endings import is_hook_due, is_reason_wanted, is_unfetched
from openeo_jobs.tracking import downloader, reasons
from openeo_jobs.tracking.run import Run, log


def finish(run: Run, backend_names: Collection[str]) -> None:
    """Fetch what is to be fetched from these backends, and call the hooks that are due."""
    _fetch_results(run, backend_names)
    for job in run.store.endings.open(run.runner_id):
        if run.stopping.is_set() or job.backend_name not in backend_names:
            continue
        try:
            _finish_one(run, job)
        except JobMovedError as error:
            log.info("%s", error)


def call_hook(run: Run, job: Job) -> None:
    """Call the hook for the end of *job*; if it raises, that is stored, and the next run calls it again.

    The hooks before it may have taken long: nothing is called for a job that is not ours any more.
    """
    if not run.store.owners.holds(job):
        return
    try:
        if run.user_code.has_hook(job.status):
            run.user_code.call_hook(job)
    except Exception as error:
        run.stats["hook error"] += 1
        log.exception("row %d: the hook for %s raised", job.number, job.status)
        message = f"{type(error).__name__}: {error}"
        run.store.endings.record_hook_failed(job, message=message, runner_id=run.runner_id)
    else:
        run.store.endings.record_hook_returned(job, at=run.now())


def _fetch_results(run: Run, backend_names: Collection[str]) -> None:
    """Ask for the results of as many jobs as there is room for: of thousands that wait, most are not read."""
    at, transfers = run.now(), run.transfers
    room = transfers.room(at=at)
    if run.stopping.is_set() or not room:
        return
    jobs = run.store.endings.unfetched(
        run.runner_id, backend_names, at=at, besides=transfers.under_way(), limit=room
    )
    for job in jobs:
        try:
            downloader.ask_results(run, job)
        except JobMovedError as error:
            log.info("%s", error)


def _finish_one(run: Run, job: Job) -> None:
    if is_reason_wanted(job, at=run.now()):
        reasons.ask_error_logs(run, job)
    elif not is_unfetched(job) and is_hook_due(job, runner_id=run.runner_id):
        call_hook(run, job)
