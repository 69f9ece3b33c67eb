"""What kind a failure is, how messages group, which backends pause."""

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
    normalise_message,
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


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("[404] JobNotFound: The batch job 'j-2402094545d94b5fb4d4ee2d9a1ca4b7' does not exist.",
         "[*] JobNotFound: The batch job '<id>' does not exist."),
        ("The job 5f1a2b3c-1234-4abc-9def-0123456789ab was canceled", "The job <id> was canceled"),
        ("Server error at https://openeo.vito.be/openeo/1.2/jobs/j-24?limit=5", "Server error at <url>"),
        ("[500] Internal: Server error: KeyError('B04') (ref: r-2401310abcdef0123456789)",
         "[*] Internal: Server error: KeyError('B*') (ref: <id>)"),
        ("batch job j-8x2kqp9wzt was not found", "batch job <id> was not found"),
        ("batch job j-24013112 was not found", "batch job <id> was not found"),
        ("batch job vito-qp9wzt3 was not found", "batch job <id> was not found"),
        ("Out of memory: 8192 MB of 8,192.0 MB used", "Out of memory: * MB of * MB used"),
        ("step 3 of 12 failed after 1.5e3 s", "step * of * failed after * s"),
        ("bbox [11.25, -46.5, 11.3, 46.6] is empty", "bbox [*, *, *, *] is empty"),
        ("  several\n\tlines   here ", "several lines here"),
        ("cafe deadbeef is a word, 0badc0ffee1 is not", "cafe deadbeef is a word, <id> is not"),
        ('File "/opt/udf.py", line 42, in apply', 'File "/opt/udf.py", line *, in apply'),
        ("no 'SENTINEL2_L2A' here", "no 'SENTINEL*_L*A' here"),
        ("self-explanatory, no-data, well-documented", "self-explanatory, no-data, well-documented"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_message_loses_what_differs_from_row_to_row(message: str, key: str) -> None:
    assert normalise_message(message) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tile T31UFS: no data between 2024-01-01 and 2024-02-01",
         "tile T31UFS: no data between 2023-06-01 and 2023-07-01"),
        ("job j-2401310a1b2c3d4e5f60718293a4b5c6 timed out after 3600 s",
         "job j-ffeeddccbbaa99887766554433221100 timed out after 120.5 s"),
        ("https://a.test/x failed", "https://b.test/y?z=1 failed"),
    ],
)  # fmt: skip
def test_the_same_failure_of_two_rows_has_one_key(one: str, other: str) -> None:
    assert normalise_message(one) == normalise_message(other)


def test_different_failures_have_different_keys() -> None:
    assert normalise_message("no band B04") != normalise_message("no band SCL")


def test_a_key_has_an_end() -> None:
    assert len(normalise_message("x " * 10_000)) <= 300


@pytest.mark.parametrize("message", ["0" * 20_000, "-" * 20_000, "a-" * 10_000, "1," * 10_000, "f" * 20_000])
def test_an_odd_message_has_a_key_at_once(message: str) -> None:
    assert normalise_message(message) is not None


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
