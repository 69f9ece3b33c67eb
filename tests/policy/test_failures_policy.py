"""What kind a failure is, and which backends pause."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openeo_jobs.errors import (
    BackendAnswerError,
    BackendRefusedError,
    BackendUnavailableError,
    CallbackError,
)
from openeo_jobs.jobs import ErrorClass
from openeo_jobs.policy.failures import (
    classify,
    make_failure,
    make_remote_failure,
    pauses_backend,
)

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)


def refused(http_status: int | None = None, code: str | None = None, message: str = "no") -> Exception:
    return BackendRefusedError(message, http_status=http_status, code=code)


def unavailable(http_status: int | None = None) -> Exception:
    return BackendUnavailableError("no answer", http_status=http_status)


@pytest.mark.parametrize(
    ("error", "kind", "pauses"),
    [
        (unavailable(), ErrorClass.TRANSIENT, True),
        (unavailable(502), ErrorClass.TRANSIENT, True),
        (unavailable(503), ErrorClass.TRANSIENT, True),
        (unavailable(504), ErrorClass.TRANSIENT, True),
        (unavailable(500), ErrorClass.TRANSIENT, False),
        (BackendAnswerError("no JSON"), ErrorClass.TRANSIENT, False),
        (refused(401), ErrorClass.AUTH, True),
        (refused(403, "AuthenticationRequired"), ErrorClass.AUTH, True),
        (refused(403, "TokenInvalid"), ErrorClass.AUTH, True),
        (refused(403, "CredentialsInvalid"), ErrorClass.AUTH, True),
        (refused(402), ErrorClass.PAYMENT, True),
        (refused(400, "PaymentRequired"), ErrorClass.PAYMENT, True),
        (refused(429), ErrorClass.LIMIT, True),
        (refused(400, "ConcurrentJobLimit"), ErrorClass.LIMIT, True),
        (refused(400, "Internal", "concurrent job limit of 2 reached"), ErrorClass.LIMIT, True),
        (refused(400, "ProcessUnsupported"), ErrorClass.PERMANENT, False),
        (refused(403), ErrorClass.PERMANENT, False),
        (refused(404, "JobNotFound"), ErrorClass.PERMANENT, False),
        (refused(302), ErrorClass.PERMANENT, False),
        (CallbackError("KeyError: 'tile' in start_job"), ErrorClass.PERMANENT, False),
        (KeyError("tile"), ErrorClass.PERMANENT, False),
        (TimeoutError(), ErrorClass.PERMANENT, False),
    ],
)
def test_a_failure_has_a_kind_and_may_pause_its_backend(
    error: Exception, kind: ErrorClass, pauses: bool
) -> None:
    assert classify(error) is kind
    assert pauses_backend(error) is pauses


def test_a_failure_is_described_as_it_is_stored() -> None:
    error = BackendRefusedError("[400] Foo: at 7", http_status=400, code="Foo")
    failure = make_failure(error, at=NOW)

    assert (failure.message, failure.http_status, failure.code) == ("[400] Foo: at 7", 400, "Foo")
    assert (failure.error_class, failure.at, failure.key) == (ErrorClass.PERMANENT, NOW, "[*] Foo: at *")


def test_an_error_without_a_message_is_named() -> None:
    assert make_failure(ValueError(), at=NOW).message == "ValueError"


def test_a_batch_job_that_failed_is_a_remote_error() -> None:
    failure = make_remote_failure("out of memory at 5", at=NOW)

    assert (failure.error_class, failure.key) == (ErrorClass.REMOTE_ERROR, "out of memory at *")
