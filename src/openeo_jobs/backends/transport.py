"""Requests to one backend, from any thread, with the bearer of the user's Connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions

from openeo_jobs.backends.foreign import (
    as_backend_error,
    error_in_answer,
    error_in_exception,
    is_broken_connection,
)
from openeo_jobs.backends.roots import Root, join, secured
from openeo_jobs.backends.texts import place_of, tidied
from openeo_jobs.backends.tries import CONNECT_TIMEOUT_SECONDS
from openeo_jobs.errors import BackendAnswerError, BackendError, BackendUnavailableError

if TYPE_CHECKING:
    import openeo

_FOREIGN = (requests.RequestException, urllib3.exceptions.HTTPError)
"""What requests raises; some errors of urllib3 pass through it as they are."""


class Transport:
    """Sends requests to one backend, through a session per thread.

    Of the Connection it reads `root_url`, `auth`, `default_headers`, and how its session verifies and
    proxies; the only method it calls is `try_access_token_refresh`. The bearer goes to the backend's own
    host, by its own scheme, and nowhere else.
    """

    def __init__(
        self, connection_provider: Callable[[], openeo.Connection], *, timeout_seconds: float
    ) -> None:
        self._connection_provider = connection_provider
        self._timeout_seconds = timeout_seconds
        self._local = threading.local()
        self._refreshing = threading.Lock()

    def url_of(self, *segments: str) -> str:
        """Return the URL of an endpoint, from the segments of its path."""
        return join(str(self._connection().root_url), *segments)

    def is_own(self, url: str) -> bool:
        """Say whether *url* is on the backend's own host."""
        root_url = str(self._connection().root_url)
        return Root.of(root_url).has_origin_of(secured(url, root_url))

    def is_below_root(self, url: str) -> bool:
        """Say whether *url* is an endpoint of the API, or below one."""
        root_url = str(self._connection().root_url)
        return Root.of(root_url).path_below(secured(url, root_url)) is not None

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_streamed: bool = False,
        is_signed: bool = False,
        timeout_seconds: float | None = None,
    ) -> requests.Response:
        """Send a request and return the answer, if it is 2xx.

        A GET is repeated once if a connection broke. A request that was refused because the token is no
        longer valid is repeated once with a new token: a refusal means that nothing was done. *is_signed*
        says that the URL itself carries the permission; then no bearer is sent. Redirects are followed for
        GET only, and the bearer does not follow to another host.

        :raises BackendError: what the backend answered, or why it did not.
        """
        arguments = {
            "params": dict(params) if params else None,
            "stream": is_streamed,
            "timeout": (CONNECT_TIMEOUT_SECONDS, timeout_seconds or self._timeout_seconds),
            "allow_redirects": method == "GET",
        }
        connection = self._connection()
        url = secured(url, str(connection.root_url))
        auth = connection.auth if not is_signed and self.is_own(url) else None
        headers = {**connection.default_headers, **(headers or {})}
        response, error = self._try(connection, method, url, auth=auth, headers=headers, **arguments)
        if error is not None and self._is_token_invalid(error) and self._refresh(connection, auth):
            response, error = self._try(
                connection, method, url, auth=connection.auth, headers=headers, **arguments
            )
        if error is not None:
            raise error
        return response

    def get_json(self, url: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Get a JSON object.

        :raises BackendAnswerError: the answer is something else.
        """
        response = self.send("GET", url, params=params)
        try:
            document = response.json()
        except (requests.JSONDecodeError, RecursionError) as error:
            raise _no_object(response, url) from error
        if not isinstance(document, dict):
            raise _no_object(response, url)
        return _with_whole_characters(document) if b"\\ud" in response.content.lower() else document

    def _connection(self) -> Any:
        try:
            return self._connection_provider()
        except Exception as error:
            failure = as_backend_error(error)
            if failure is None or failure is error:
                raise
            raise failure from error

    def _try(
        self, connection: Any, method: str, url: str, **arguments: Any
    ) -> tuple[requests.Response, BackendError | None]:
        try:
            response = self._request(connection, method, url, **arguments)
        except _FOREIGN as error:
            if method != "GET" or not is_broken_connection(error):
                raise _unavailable(error) from error
            response = self._request_again(connection, method, url, **arguments)
        failure = error_in_answer(response)
        if failure is not None:
            # Some backends reset a connection that is used again after an error.
            self._session().close()
        return response, failure

    def _request_again(self, connection: Any, method: str, url: str, **arguments: Any) -> requests.Response:
        try:
            return self._request(connection, method, url, **arguments)
        except _FOREIGN as error:
            raise _unavailable(error) from error

    def _request(self, connection: Any, method: str, url: str, **arguments: Any) -> requests.Response:
        session = self._session()
        for setting in ("verify", "cert", "proxies", "trust_env"):
            setattr(session, setting, getattr(connection.session, setting))
        return session.request(method, url, **arguments)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        return session

    @staticmethod
    def _is_token_invalid(error: BackendError) -> bool:
        return error.http_status == 401 or (error.http_status == 403 and error.code == "TokenInvalid")

    def _refresh(self, connection: Any, failed_auth: Any) -> bool:
        """Get a new token, unless another thread already has; say whether there is one."""
        if failed_auth is None:
            return False
        with self._refreshing:
            if connection.auth is not failed_auth:
                return True
            refresh = getattr(connection, "try_access_token_refresh", None)
            try:
                return bool(refresh()) if refresh is not None else False
            except requests.RequestException as error:
                raise _unavailable(error) from error


def _unavailable(error: requests.RequestException | urllib3.exceptions.HTTPError) -> BackendError:
    return error_in_exception(error) or BackendUnavailableError(tidied(str(error)))


def _with_whole_characters(document: dict[str, Any]) -> dict[str, Any]:
    """Replace halves of surrogate pairs, which JSON can hold and neither a database nor a file name can."""
    text = json.dumps(document, ensure_ascii=False).encode("utf-16", "surrogatepass")
    whole: dict[str, Any] = json.loads(text.decode("utf-16", "replace"))
    return whole


def _no_object(response: requests.Response, url: str) -> BackendAnswerError:
    return BackendAnswerError(
        f"[{response.status_code}] a JSON object was expected, the answer is: "
        f"{tidied(response.text[:2000]) or 'empty'} ({place_of('GET', url)})",
        http_status=response.status_code,
    )
