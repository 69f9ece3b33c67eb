"""Foreign errors: what each of them becomes."""

from __future__ import annotations

import pytest
import requests
import urllib3.exceptions
from openeo.rest import OpenEoApiError, OpenEoApiPlainError, OpenEoClientException, OpenEoRestError

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.backends.texts import MAX_LENGTH, tidied, without_query
from openeo_jobs.errors import BackendAnswerError, BackendRefusedError, BackendUnavailableError

pytest_plugins = ["scripted_backend"]

HTML = "<!DOCTYPE html><html><head><title>x</title></head><body><h1>502 Bad&nbsp;Gateway</h1></body></html>"


def caught(backend, answer, path="/jobs/x", **kwargs):
    backend.on("GET", path, answer(**kwargs))
    try:
        backend.connect(session=requests.Session()).get(path)
    except Exception as error:
        return as_backend_error(error)
    raise AssertionError("no error")


def test_an_openeo_error_keeps_status_code_and_message():
    error = as_backend_error(
        OpenEoApiError(http_status_code=400, code="ConcurrentJobLimit", message="limit (2) is reached")
    )
    assert isinstance(error, BackendRefusedError)
    assert (error.http_status, error.code) == (400, "ConcurrentJobLimit")
    assert str(error) == "[400] ConcurrentJobLimit: limit (2) is reached"


def test_an_error_of_5xx_is_no_refusal():
    error = as_backend_error(OpenEoApiError(http_status_code=503, code="InfrastructureBusy", message="busy"))
    assert isinstance(error, BackendUnavailableError)
    assert error.reached
    assert (error.http_status, error.code) == (503, "InfrastructureBusy")


def test_an_html_page_becomes_a_line(backend, answer):
    error = caught(backend, answer, status=404, body=HTML.encode())
    assert isinstance(error, BackendRefusedError)
    assert str(error) == "[404] 502 Bad Gateway"
    assert error.code is None


def test_an_unexpected_status_is_read_from_the_message():
    redirected = OpenEoRestError("Got status code 302 for `POST /jobs` (expected [201]) with body ")
    assert isinstance(as_backend_error(redirected), BackendRefusedError)
    assert as_backend_error(redirected).http_status == 302
    fine = OpenEoRestError("Got status code 200 for `POST /jobs/x/results` (expected [202]) with body ")
    assert isinstance(as_backend_error(fine), BackendAnswerError)


def test_causes_and_contexts_are_looked_at():
    plain = OpenEoApiPlainError(message="no", http_status_code=403)
    try:
        try:
            raise plain
        except OpenEoApiPlainError as error:
            raise RuntimeError("my own") from error
    except RuntimeError as error:
        assert as_backend_error(error).http_status == 403
    try:
        try:
            raise plain
        except OpenEoApiPlainError:
            raise KeyError("my own")  # noqa: B904
    except KeyError as error:
        assert as_backend_error(error).http_status == 403


def test_what_was_hidden_on_purpose_stays_hidden():
    try:
        try:
            raise OpenEoApiPlainError(message="no", http_status_code=403)
        except OpenEoApiPlainError:
            raise KeyError("my own") from None
    except KeyError as error:
        assert as_backend_error(error) is None


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), OpenEoClientException("no id"), OSError("disk full")]
)
def test_anything_else_is_none_of_our_business(error):
    assert as_backend_error(error) is None


def test_our_own_errors_stay_as_they_are():
    error = BackendAnswerError("x")
    assert as_backend_error(error) is error


def test_a_refused_connection_has_not_reached_the_backend(free_port):
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get(f"http://127.0.0.1:{free_port}/jobs?access=secret")
    error = as_backend_error(raised.value)
    assert isinstance(error, BackendUnavailableError)
    assert not error.reached
    assert "refused" in str(error)
    assert "secret" not in str(error)
    assert str(error).endswith("(GET /jobs)")


def test_a_broken_connection_may_have_reached_it(backend, answer):
    error = caught(backend, answer, closes=True)
    assert isinstance(error, BackendUnavailableError)
    assert error.reached
    assert "0x" not in str(error)


def test_a_time_out_may_have_reached_it():
    error = as_backend_error(requests.ReadTimeout("HTTPConnectionPool: read timed out"))
    assert isinstance(error, BackendUnavailableError)
    assert error.reached
    assert str(error) == "no answer in time"


@pytest.mark.parametrize(("status", "kind"), [(429, BackendRefusedError), (504, BackendUnavailableError)])
def test_a_status_that_was_retried_in_vain_is_that_status(status, kind):
    reason = urllib3.exceptions.ResponseError(f"too many {status} error responses")
    error = as_backend_error(
        requests.exceptions.RetryError(urllib3.exceptions.MaxRetryError(None, "/", reason))
    )
    assert isinstance(error, kind)
    assert error.http_status == status


def test_raise_for_status_is_an_answer(backend, answer):
    backend.on("GET", "/x", answer(410, {"code": "ResultLinkExpired", "message": "gone"}))
    response = requests.get(backend.root + "/x?sig=abc")
    with pytest.raises(requests.HTTPError) as raised:
        response.raise_for_status()
    error = as_backend_error(raised.value)
    assert (error.http_status, error.code) == (410, "ResultLinkExpired")
    assert str(error) == "[410] ResultLinkExpired: gone (GET /openeo/1.2/x)"


def test_no_json_is_an_answer_that_makes_no_sense(backend, answer):
    backend.on("GET", "/x", answer(200, body=b"hello"))
    with pytest.raises(requests.JSONDecodeError) as raised:
        requests.get(backend.root + "/x").json()
    assert isinstance(as_backend_error(raised.value), BackendAnswerError)


@pytest.mark.parametrize(
    "secret",
    [
        "https://u:s3cret@host/x",
        "https://host/x?X-Amz-Signature=s3cret&b=1",
        "Authorization: Bearer oidc/egi/s3cret",
        "token basic//s3cret is invalid",
        "Bearer s3cret.123.456",
        "access_token=s3cret",
        "eyJhbGciOiJIUzI1NiJ9.s3cret.x",
    ],
)
def test_secrets_do_not_pass(secret):
    assert "s3cret" not in tidied(f"before {secret} after")
    assert tidied(f"before {secret} after").startswith("before ")


def test_ordinary_words_do():
    text = "Is it x < 3 or y > 4? The bearer token has expired, use basic authentication: https://x/docs?"
    assert tidied(text) == text


def test_long_texts_are_cut():
    assert len(tidied("a" * 1000)) == MAX_LENGTH


def test_a_url_without_its_query_has_no_password_either():
    assert without_query("https://u:p@x:8/a%20b?sig=1#f") == "https://x:8/a%20b"
