"""Logins without anybody to ask: what is stored, what is in the environment, and else a reason."""

from __future__ import annotations

import pytest
from openeo.rest.auth.config import AuthConfig, RefreshTokenStore
from openeo.rest.auth.testing import OidcMock

from openeo_jobs.backends.connecting import connect_unattended
from openeo_jobs.errors import BackendError, BackendRefusedError

URL = "https://oeo.test/"


@pytest.fixture
def backend(requests_mock, nobody):
    """Answer as a backend with both kinds of login, for a user of whom nothing is stored."""
    endpoints = [{"path": "/credentials/basic", "methods": ["GET"]}]
    client = {"id": "myclient", "grant_types": ["refresh_token"]}
    provider = {"id": "egi", "issuer": "https://oidc.test", "title": "EGI", "scopes": ["openid"]}
    requests_mock.get(URL, json={"api_version": "1.2.0", "endpoints": endpoints})
    requests_mock.get(URL + "credentials/basic", json={"access_token": "t0ken"})
    providers = {"providers": [{**provider, "default_clients": [client]}]}
    requests_mock.get(URL + "credentials/oidc", json=providers)
    return requests_mock


def test_the_refresh_token_that_is_stored_is_used(backend) -> None:
    RefreshTokenStore().set_refresh_token(
        refresh_token="old", issuer="https://oidc.test", client_id="myclient"
    )
    mock = OidcMock(backend, expected_grant_type="refresh_token", expected_fields={"refresh_token": "old"})
    assert connect_unattended(URL).auth.bearer.startswith("oidc/egi/")
    assert not mock.mocks["device_code_endpoint"].called


def test_the_password_that_is_stored_for_that_backend_is_used(backend) -> None:
    OidcMock(backend)
    AuthConfig().set_basic_auth(URL, "user", "password")
    assert connect_unattended(URL).auth.bearer == "basic//t0ken"


def test_client_credentials_are_those_of_the_environment(backend, monkeypatch) -> None:
    monkeypatch.setenv("OPENEO_AUTH_CLIENT_ID", "robot")
    monkeypatch.setenv("OPENEO_AUTH_CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("OPENEO_AUTH_PROVIDER_ID", "egi")
    expected = {"client_secret": "s3cret", "scope": "openid"}
    OidcMock(
        backend,
        expected_grant_type="client_credentials",
        expected_client_id="robot",
        expected_fields=expected,
    )
    assert connect_unattended(URL, with_client_credentials=True).auth.bearer.startswith("oidc/egi/")


def test_without_a_login_nobody_is_asked_and_the_reason_is_told(backend) -> None:
    mock = OidcMock(backend)
    with pytest.raises(BackendRefusedError, match=r"no login for https://oeo.test/ \(.*No refresh token"):
        connect_unattended(URL)
    assert not mock.mocks["device_code_endpoint"].called


def test_a_backend_that_is_not_there_is_a_backend_error(requests_mock) -> None:
    requests_mock.get(URL, status_code=503, text="<html>down</html>")
    with pytest.raises(BackendError, match="503"):
        connect_unattended(URL)
