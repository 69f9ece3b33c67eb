"""What is done for jobs that have ended, in threads: results, error logs, then hooks."""

from __future__ import annotations

from collections.abc import Collection

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.downloads import is_download_due
from openeo_jobs.policy.endings import is_reason_wanted, is_unfetched
from openeo_jobs.policy.hooks import is_hook_due
from openeo_jobs.tracking import downloader, hooks, reasons
from openeo_jobs.tracking.run import Run, log


def finish(run: Run, backend_names: Collection[str]) -> None:
    """Fetch what is to be fetched from these backends, and let the hooks be called that are due."""
    run.transfers.keep(asked=run.pool.keys_under_way("results"), files=run.pool.keys_under_way("file"))
    for job in run.store.endings.open(run.runner_id):
        if run.stopping.is_set() or job.backend_name not in backend_names:
            continue
        try:
            _finish_one(run, job)
        except JobMovedError as error:
            log.info("%s", error)


def _finish_one(run: Run, job: Job) -> None:
    at = run.now()
    if is_download_due(job, at=at):
        downloader.ask_results(run, job)
    elif is_reason_wanted(job, at=at):
        reasons.ask_error_logs(run, job)
    elif not is_unfetched(job) and is_hook_due(job, runner_id=run.runner_id, at=at):
        hooks.ask(run, job)
