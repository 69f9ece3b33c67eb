"""What a manager does for jobs that have ended, unless a subclass does something else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openeo import BatchJob

from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import UsageError
from openeo_jobs.running import now
from openeo_jobs.tracking import files

if TYPE_CHECKING:
    from openeo_jobs.manager import MultiBackendJobManager


def name_folder(manager: MultiBackendJobManager, batch_job_id: str) -> Path:
    """Return the folder of a batch job, below `root_dir`.

    :raises UsageError: it depends on the row, and the batch job is no row's, or no jobs are running.
    """
    if manager._layout is None:
        return Path(f"job_{batch_job_id}")
    row = manager._code.find_row(batch_job_id) if manager._code is not None else None
    if row is None:
        raise UsageError(
            f"where the results of {batch_job_id} go depends on its row (output_path), which is known only "
            "while jobs run, and is in view assets afterwards"
        )
    return manager._layout.folder_of(row)


def fetch_results(manager: MultiBackendJobManager, batch_job: BatchJob) -> None:
    """Download the results of a batch job; when its hook is being called, they are stored as its row's."""
    if not manager._download_results:
        return
    batch_job_id = batch_job.job_id
    folder = Path(manager.get_job_dir(batch_job_id)).absolute()
    gateway = OpenEOGateway("", lambda: batch_job.connection)
    results = files.ask_results(gateway, batch_job_id, Path(manager.get_job_metadata_path(batch_job_id)))
    run, code = manager._run, manager._code
    job = code.hooked_jobs.get(batch_job_id) if code is not None else None
    if run is None or job is None:
        files.fetch_files(gateway, results, folder, wants=manager._wants_file)
        return
    stored = run.store.assets
    here = files.fetch_files(
        gateway,
        results,
        folder,
        wants=manager._wants_file,
        known=stored.of(job),
        check=partial(stored.check_places, job),
    )
    stored.record_downloaded(job, here, at=now())


def write_error_logs(manager: MultiBackendJobManager, batch_job: BatchJob) -> None:
    """Write the error logs of a batch job, if there are any."""
    entries = OpenEOGateway("", lambda: batch_job.connection).get_error_logs(batch_job.job_id)
    files.write_error_logs(Path(manager.get_error_log_path(batch_job.job_id)), entries)
