"""How long a backend asks to wait, as it says it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from openeo.rest.auth.auth import BearerAuth

from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.backends.retry_after import retry_after_in
from openeo_jobs.errors import BackendError

pytest_plugins = ["scripted_backend"]

SENT_AT = "Wed, 31 Jan 2024 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "Wed, 31 Jan 2024 12:30:00 GMT", "Date": SENT_AT}, 1800),
        ({"Retry-After": "Wed, 31 Jan 2024 12:30:00", "Date": SENT_AT}, 1800),
        ({"Retry-After": "Wed, 31 Jan 2024 11:00:00 GMT", "Date": SENT_AT}, 0),
        ({"Retry-After": "Wed, 31 Jan 2024 12:30:00 GMT"}, None),
        ({"Retry-After": "86401"}, 86400),
        ({"Retry-After": "9" * 400}, 86400),
        ({"Retry-After": "Fri, 31 Jan 2025 12:00:00 GMT", "Date": SENT_AT}, 86400),
        *(({"Retry-After": odd, "Date": SENT_AT}, None) for odd in ("soon", "-5", "1.5", "٣", "Wed, 99 Foo")),
    ],
)
def test_seconds_or_a_date_at_most_a_day(headers: dict[str, str], seconds: float | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after_in(headers) == expected


@pytest.mark.parametrize(("status", "seconds"), [(429, 7), (503, 7), (500, None), (400, None)])
def test_it_is_read_from_answers_that_ask_to_wait(backend, answer, plain_connection, status, seconds) -> None:
    connection = plain_connection(backend.root, auth=BearerAuth("basic//old"))
    backend.on("GET", "/jobs/j-1", answer(status, {"message": "no"}, headers={"Retry-After": "7"}))
    with pytest.raises(BackendError) as raised:
        OpenEOGateway("a", lambda: connection).get_batch_job("j-1")
    assert raised.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))
