"""What foreign exceptions and HTTP answers mean: each becomes one of our errors."""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import requests
import urllib3.exceptions

from openeo_jobs.backends.retry_after import retry_after_in
from openeo_jobs.backends.texts import place_of, tidied
from openeo_jobs.errors import (
    BackendAnswerError,
    BackendError,
    BackendRefusedError,
    BackendUnavailableError,
)

_UNSENT = (
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.ClosedPoolError,
    urllib3.exceptions.LocationValueError,
    ssl.SSLCertVerificationError,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)
_MAYBE_SENT = (
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.ReadTimeoutError,
    requests.exceptions.ReadTimeout,
    requests.exceptions.ChunkedEncodingError,
)
_ASKS_TO_WAIT = frozenset({429, 503})
_NONSENSE = (
    requests.exceptions.InvalidJSONError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.TooManyRedirects,
    urllib3.exceptions.DecodeError,
)


def as_backend_error(error: BaseException) -> BackendError | None:
    """Return what *error* says about a backend, as one of our errors; None where it says nothing.

    Looks at the exception itself, then along its causes and contexts, for errors of openEO's client
    (0.40 and later), of requests, and of urllib3.
    """
    for link in _raised_from(error):
        if (ours := error_in_exception(link)) is not None:
            return ours
    return None


def error_in_exception(error: BaseException) -> BackendError | None:
    """Return what this very exception says about a backend, whatever it was raised from."""
    if isinstance(error, BackendError):
        return error
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):
        return _without_answer(error)
    return _translated_from_openeo(error)


def error_in_answer(response: requests.Response) -> BackendError | None:
    """Return the error that an HTTP answer is; None for 2xx."""
    if 200 <= response.status_code < 300:
        return None
    code, message = _code_and_message(response)
    place = place_of(response.request.method, response.request.url)
    error = _answered(response.status_code, code, message or response.reason or "", f" ({place})")
    if response.status_code in _ASKS_TO_WAIT:
        error.retry_after = retry_after_in(response.headers)
    return error


def is_certainly_unsent(error: BaseException) -> bool:
    """Say whether *error* proves that the request never reached the backend; in doubt it does not.

    Proof is: no connection, an unknown host, no connection in time, a certificate that was not accepted,
    a URL or header that cannot be sent. Through a proxy it counts only where the proxy was not reached.
    """
    links = list(_wrapped_in(error))
    return any(isinstance(link, _UNSENT) for link in links) and not _is_maybe_sent(links)


def is_broken_connection(error: BaseException) -> bool:
    """Say whether the connection broke before an answer came: a reset, or a stale keep-alive connection."""
    return any(isinstance(link, urllib3.exceptions.ProtocolError) for link in _wrapped_in(error))


def _raised_from(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _translated_from_openeo(error: BaseException) -> BackendError | None:
    # Where its errors were raised, openeo is imported already; nobody else should wait for it.
    openeo_rest = sys.modules.get("openeo.rest")
    if openeo_rest is None or not isinstance(error, openeo_rest.OpenEoRestError):
        return None
    if isinstance(error, openeo_rest.OpenEoApiPlainError):
        return _answered(error.http_status_code, getattr(error, "code", None), str(error.message))
    return _unexpected(str(error))


def _answered(status: int | None, code: Any, message: str, suffix: str = "") -> BackendError:
    code = None if code is None else tidied(str(code))
    text = f"[{status}] " + (f"{code}: " if code else "") + tidied(message) + suffix
    if status is not None and status < 500:
        return BackendRefusedError(text.strip(), http_status=status, code=code)
    return BackendUnavailableError(text.strip(), http_status=status, code=code)


def _unexpected(message: str) -> BackendError:
    found = re.search(r"status code (\d{3})\b", message)
    status = int(found[1]) if found else None
    if status is not None and 300 <= status < 500:
        return BackendRefusedError(tidied(message), http_status=status)
    return BackendAnswerError(tidied(message), http_status=status)


def _without_answer(error: requests.RequestException | urllib3.exceptions.HTTPError) -> BackendError:
    response = getattr(error, "response", None)
    if response is not None and (answered := error_in_answer(response)) is not None:
        return answered
    request = getattr(error, "request", None)
    place = f" ({place_of(request.method, request.url)})" if request is not None else ""
    if isinstance(error, _NONSENSE):
        return BackendAnswerError(f"the answer cannot be read: {tidied(str(error))}{place}")
    links = list(_wrapped_in(error))
    if (status := _status_that_was_retried(links)) is not None:
        return _answered(status, None, "still so after several tries", place)
    reason = _reason(error, links)
    return BackendUnavailableError(f"{reason}{place}", reached=not is_certainly_unsent(error))


def _reason(error: BaseException, links: list[BaseException]) -> str:
    detail = tidied(str(links[-1]))
    if is_certainly_unsent(error):
        return f"no connection: {detail}"
    if any(isinstance(link, urllib3.exceptions.ReadTimeoutError | requests.Timeout) for link in links):
        return "no answer in time"
    return f"the connection broke: {detail}"


def _status_that_was_retried(links: list[BaseException]) -> int | None:
    for link in links:
        if isinstance(link, urllib3.exceptions.ResponseError):
            found = re.search(r"too many (\d{3}) error responses", str(link))
            return int(found[1]) if found else None
    return None


def _wrapped_in(error: BaseException) -> Iterator[BaseException]:
    """Walk along what the libraries wrapped, not along contexts: those may be of another request."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [*link.args, getattr(link, "reason", None), getattr(link, "original_error", None)]
            waiting.append(link.__cause__)


def _is_maybe_sent(links: list[BaseException]) -> bool:
    return any(isinstance(link, _MAYBE_SENT) for link in links)


def _code_and_message(response: requests.Response) -> tuple[Any, str]:
    try:
        document = response.json()
    except (ValueError, requests.RequestException):
        return None, _text_of(response)
    if not isinstance(document, dict):
        return None, _text_of(response)
    texts = (document.get(key) for key in ("message", "detail", "error_description", "error", "title"))
    return document.get("code"), next((text for text in texts if isinstance(text, str)), "")


def _text_of(response: requests.Response) -> str:
    try:
        return response.text
    except requests.RequestException:
        return ""
