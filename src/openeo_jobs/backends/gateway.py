"""What the tracker needs from a backend, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from openeo_jobs.jobs import Asset, Listing, Observation


class Gateway(Protocol):
    """A backend, seen by the tracker. Methods may be called from any thread, and raise `BackendError`."""

    @property
    def name(self) -> str:
        """The name that the backend was registered under."""
        ...

    @property
    def url(self) -> str:
        """The root URL of the backend."""
        ...

    def get_batch_job(self, batch_job_id: str) -> Observation:
        """Ask for one batch job."""
        ...

    def list_batch_jobs(self) -> Listing:
        """Ask for all batch jobs, page by page."""
        ...

    def start(self, batch_job_id: str) -> None:
        """Ask for the start. After a `BackendUnavailableError` the outcome is unknown, if it was reached."""
        ...

    def stop(self, batch_job_id: str) -> None:
        """Ask for the cancellation."""
        ...

    def delete(self, batch_job_id: str) -> None:
        """Ask for the deletion, with everything that belongs to it; some backends answer yes and do not."""
        ...

    def get_error_logs(self, batch_job_id: str) -> list[dict[str, Any]]:
        """Fetch the log entries of level error, in order (every page)."""
        ...

    def get_last_log_line(self, batch_job_id: str) -> str | None:
        """Fetch the message of the last log entry of any level; None where there is none."""
        ...

    def get_currency(self) -> str | None:
        """Return the currency that costs are in (`GET /`, `billing.currency`); None where none is named."""
        ...

    def download_results(self, batch_job_id: str, folder: Path) -> list[Asset]:
        """Download the results into *folder*, each under a temporary name first; return what is there.

        Beside the assets, `job-results.json` (the results document) is written, last.
        """
        ...
