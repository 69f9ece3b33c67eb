"""The gateway over an `openeo.Connection`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openeo_jobs.assets import Fetched, Offer, Results
from openeo_jobs.backends.fetching import Terms, fetch
from openeo_jobs.backends.listing import list_batch_jobs
from openeo_jobs.backends.logs import get_error_logs, get_last_log_line
from openeo_jobs.backends.observations import observation_in
from openeo_jobs.backends.results import get_results
from openeo_jobs.backends.transport import Transport
from openeo_jobs.errors import BackendAnswerError, BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import ErrorClass, Listing, Observation
from openeo_jobs.policy.failures import AWAY, classify

if TYPE_CHECKING:
    import openeo


class OpenEOGateway:
    """A backend, through requests of our own that carry the bearer of the user's Connection.

    *connection_provider* returns the Connection as it is now; it is called for every request, from any
    thread, and must not log in anew each time. *timeout_seconds* is how long an answer may take.
    """

    def __init__(
        self,
        name: str,
        connection_provider: Callable[[], openeo.Connection],
        *,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._name = name
        self._transport = Transport(connection_provider, timeout_seconds=timeout_seconds)

    @property
    def name(self) -> str:
        """The name that the backend was registered under."""
        return self._name

    @property
    def url(self) -> str:
        """The root URL of the backend."""
        return self._transport.url_of()

    def get_batch_job(self, batch_job_id: str) -> Observation:
        """Ask for one batch job."""
        document = self._transport.get_json(self._transport.url_of("jobs", batch_job_id))
        return observation_in(document, batch_job_id)

    def list_batch_jobs(self) -> Listing:
        """Ask for all batch jobs, page by page."""
        return list_batch_jobs(self._transport)

    def start(self, batch_job_id: str) -> None:
        """Ask for the start; never repeated unless it was refused for an old token."""
        self._transport.send("POST", self._transport.url_of("jobs", batch_job_id, "results"))

    def stop(self, batch_job_id: str) -> None:
        """Ask for the cancellation."""
        self._transport.send("DELETE", self._transport.url_of("jobs", batch_job_id, "results"))

    def delete(self, batch_job_id: str) -> None:
        """Ask for the deletion."""
        self._transport.send("DELETE", self._transport.url_of("jobs", batch_job_id))

    def get_error_logs(self, batch_job_id: str) -> list[dict[str, Any]]:
        """Fetch the log entries of level error, every page; none where there are no logs (404)."""
        return get_error_logs(self._transport, batch_job_id)

    def get_account(self) -> str | None:
        """Return the user id of `GET /me`; None where there is no such endpoint, or no id in its answer."""
        try:
            user_id = self._transport.get_json(self._transport.url_of("me")).get("user_id")
        except (BackendRefusedError, BackendUnavailableError, BackendAnswerError) as error:
            is_there = error.http_status is not None and error.http_status not in AWAY
            if is_there and classify(error) in (ErrorClass.PERMANENT, ErrorClass.TRANSIENT):
                return None
            raise
        return user_id if isinstance(user_id, str) and user_id else None

    def get_last_log_line(self, batch_job_id: str) -> str | None:
        """Fetch the message of the last log entry; None where there are no logs (404)."""
        return get_last_log_line(self._transport, batch_job_id)

    def get_currency(self) -> str | None:
        """Return the currency of `GET /`; None where none is named."""
        billing = self._transport.get_json(self._transport.url_of()).get("billing")
        currency = billing.get("currency") if isinstance(billing, dict) else None
        return currency if isinstance(currency, str) and currency else None

    def get_results(self, batch_job_id: str) -> Results:
        """Ask for the results document (`openeo_jobs.backends.results`)."""
        return get_results(self._transport, batch_job_id)

    def fetch(self, offer: Offer, path: Path, terms: Terms) -> Fetched:
        """Fetch one file (`openeo_jobs.backends.fetching`)."""
        return fetch(self._transport, offer, path, terms)
