"""What the tracker needs from a backend, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from openeo_jobs.assets import Fetched, Offer, Results
from openeo_jobs.backends.fetching import Terms
from openeo_jobs.jobs import Listing, Observation


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

    def get_account(self) -> str | None:
        """Return as whom this is logged in (`GET /me`, `user_id`); None where the backend does not tell."""
        ...

    def get_last_log_line(self, batch_job_id: str) -> str | None:
        """Fetch the message of the last log entry of any level; None where there is none."""
        ...

    def get_currency(self) -> str | None:
        """Return the currency that costs are in (`GET /`, `billing.currency`); None where none is named."""
        ...

    def get_results(self, batch_job_id: str) -> Results:
        """Ask which files a finished batch job has to offer."""
        ...

    def fetch(self, offer: Offer, path: Path, terms: Terms) -> Fetched:
        """Fetch one file to *path*: whole, as announced, or not at all."""
        ...
