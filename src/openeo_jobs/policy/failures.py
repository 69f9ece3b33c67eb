"""What kind of failure something is, and whether its backend pauses."""

from __future__ import annotations

from datetime import datetime

from openeo_jobs.errors import (
    BackendAnswerError,
    BackendError,
    BackendRefusedError,
    BackendUnavailableError,
)
from openeo_jobs.jobs import ErrorClass, Failure
from openeo_jobs.policy.failure_keys import normalise_message

_AUTH_CODES = frozenset({"AuthenticationRequired", "TokenInvalid", "CredentialsInvalid"})
AWAY = frozenset({502, 503, 504})
"""HTTP statuses of a backend that cannot be reached, as a proxy or the backend itself says."""
_OF_THE_ACCOUNT = frozenset({ErrorClass.LIMIT, ErrorClass.AUTH, ErrorClass.PAYMENT})
"""About who asks: not about the row that found out, and not about everybody on that backend."""
_INTERRUPTED = "the process ended while start_job ran, before anything was created"


def classify(error: BaseException) -> ErrorClass:
    """Say what kind of failure *error* is (codes of the openEO API 1.2.0; 429 is common)."""
    if isinstance(error, (BackendUnavailableError, BackendAnswerError)):
        return ErrorClass.TRANSIENT
    if not isinstance(error, BackendRefusedError):
        return ErrorClass.PERMANENT
    if error.http_status == 401 or error.code in _AUTH_CODES:
        return ErrorClass.AUTH
    if error.http_status == 402 or error.code == "PaymentRequired":
        return ErrorClass.PAYMENT
    if error.http_status == 429 or error.code == "ConcurrentJobLimit" or "concurrent job limit" in str(error):
        return ErrorClass.LIMIT
    return ErrorClass.PERMANENT


def make_failure(error: BaseException, *, at: datetime) -> Failure:
    """Describe *error* as it is stored: class, message, HTTP status, openEO code, the key it groups by."""
    message = str(error) or type(error).__name__
    return Failure(
        error_class=classify(error),
        message=message,
        at=at,
        http_status=error.http_status if isinstance(error, BackendError) else None,
        code=error.code if isinstance(error, BackendError) else None,
        key=normalise_message(message),
    )


def make_remote_failure(message: str, *, at: datetime) -> Failure:
    """Describe a batch job that failed on its backend."""
    key = normalise_message(message)
    return Failure(error_class=ErrorClass.REMOTE_ERROR, message=message, at=at, key=key)


def make_refusal(message: str, *, at: datetime) -> Failure:
    """Describe a batch job that is there, and that its backend does not start."""
    key = normalise_message(message)
    return Failure(error_class=ErrorClass.PERMANENT, message=message, at=at, key=key)


def make_interruption(*, at: datetime) -> Failure:
    """Describe an attempt whose `start_job` did not return, because the process ended."""
    return Failure(error_class=ErrorClass.INTERRUPTED, message=_INTERRUPTED, at=at, key=_INTERRUPTED)


def make_poisoning(interruptions: int, *, at: datetime) -> Failure:
    """Describe a row whose `start_job` has taken the process down with it so often."""
    message = f"start_job has not returned {interruptions} times in a row: it seems to end the process"
    key = normalise_message(message)
    return Failure(error_class=ErrorClass.INTERRUPTED, message=message, at=at, key=key)


def pauses_backend(error: BaseException) -> bool:
    """Say whether *error* is about the backend as a whole, not about one request."""
    kind = classify(error)
    if kind is ErrorClass.TRANSIENT:
        return isinstance(error, BackendUnavailableError) and (
            error.http_status is None or error.http_status in AWAY
        )
    return kind in _OF_THE_ACCOUNT


def is_about_account(kind: ErrorClass) -> bool:
    """Say whether a failure of this kind is about who asks, and not about everybody on a backend."""
    return kind in _OF_THE_ACCOUNT


def stops_polling(error: BaseException) -> bool:
    """Say whether a backend that pauses for *error* is not even asked for statuses: away, or overrun."""
    if isinstance(error, BackendError) and error.http_status == 429:
        return True
    return classify(error) in (ErrorClass.TRANSIENT, ErrorClass.AUTH)


def fails_no_row(failure: Failure) -> bool:
    """Say whether *failure* is the backend's alone, so that the row goes back in line however often."""
    if failure.error_class is ErrorClass.TRANSIENT:
        return failure.http_status in AWAY
    return failure.error_class in _OF_THE_ACCOUNT


def may_pass(failure: Failure) -> bool:
    """Say whether *failure* says nothing against the row: its backend was away, or not willing for now."""
    return failure.error_class is ErrorClass.TRANSIENT or failure.error_class in _OF_THE_ACCOUNT


def is_not_found(error: BaseException) -> bool:
    """Say whether a backend answers that it has no such batch job: gone, another account's, or not yet."""
    return isinstance(error, BackendRefusedError) and (
        error.http_status == 404 or error.code == "JobNotFound"
    )


def is_about_one_job(error: BaseException) -> bool:
    """Say whether *error* is an answer about one batch job: asked often enough, a listing has to decide."""
    kind = classify(error)
    return kind is ErrorClass.PERMANENT or (kind is ErrorClass.TRANSIENT and not _is_without_answer(error))


def _is_without_answer(error: BaseException) -> bool:
    return isinstance(error, BackendUnavailableError) and error.http_status is None
