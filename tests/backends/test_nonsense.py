"""Answers that make no sense: no JSON, other JSON, fields that are missing; each is an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from openeo.rest.auth.auth import BearerAuth

from downloading import download
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendAnswerError

pytest_plugins = ["scripted_backend"]

ASKS: dict[str, Callable[[OpenEOGateway, Path], object]] = {
    "/jobs/j-1": lambda gateway, _: gateway.get_batch_job("j-1"),
    "/jobs": lambda gateway, _: gateway.list_batch_jobs(),
    "/jobs/j-1/logs": lambda gateway, _: gateway.get_error_logs("j-1"),
    "/jobs/j-1/results": lambda gateway, folder: download(gateway, "j-1", folder),
    "/": lambda gateway, _: gateway.get_currency(),
}
BODIES = {
    "an HTML page": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "nothing": b"",
    "JSON that is cut off": b'{"id": "j-1", "sta',
    "a list": b"[]",
    "a text": b'"finished"',
    "null": b"null",
    "no UTF-8": b"\xff\xfe\x00",
}
INCOMPLETE = {
    "/jobs/j-1": [{}, {"status": None}, {"status": {}}],
    "/jobs": [{}, {"jobs": None}, {"jobs": {}}, {"jobs": "none"}],
    "/jobs/j-1/results": [
        {},
        {"assets": None},
        {"assets": []},
        {"assets": {"a": {}}},
        {"assets": {"a": None}},
    ],
}


@pytest.fixture
def gateway(backend, plain_connection) -> OpenEOGateway:
    connection = plain_connection(backend.root, auth=BearerAuth("basic//old"))
    return OpenEOGateway("a", lambda: connection, timeout_seconds=5)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ASKS)
def test_what_is_no_json_object_is_no_answer(backend, answer, gateway, tmp_path, path, body) -> None:
    backend.on("GET", path, answer(body=body))
    with pytest.raises(BackendAnswerError):
        ASKS[path](gateway, tmp_path)


@pytest.mark.parametrize(
    ("path", "document"), [(path, one) for path, many in INCOMPLETE.items() for one in many]
)
def test_without_what_was_asked_for_it_is_no_answer(
    backend, answer, gateway, tmp_path, path, document
) -> None:
    backend.on("GET", path, answer(json=document))
    with pytest.raises(BackendAnswerError):
        ASKS[path](gateway, tmp_path)


@pytest.mark.parametrize(
    "logs", [[None], ["a line"], [7], [{"level": None}], [{"message": 3, "level": "error"}]]
)
def test_odd_log_entries_are_read_as_far_as_they_go(backend, answer, gateway, logs) -> None:
    backend.on("GET", "/jobs/j-1/logs", answer(json={"logs": logs}))
    assert all(isinstance(entry, dict) for entry in gateway.get_error_logs("j-1"))


@pytest.mark.parametrize("billing", [None, [], "credits", {}, {"currency": 3}, {"currency": ""}])
def test_a_currency_that_is_none_is_unknown(backend, answer, gateway, billing) -> None:
    backend.on("GET", "/", answer(json={"billing": billing}))
    assert gateway.get_currency() is None
