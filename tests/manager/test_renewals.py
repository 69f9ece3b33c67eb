"""How the login of a Connection is renewed: by what, in which order, and never by asking a person."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import openeo
import pytest
from openeo.rest.auth.config import RefreshTokenStore

from openeo_jobs import MultiBackendJobManager
from openeo_jobs.connecting import Logins
from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError

CREDENTIALS = ("OPENEO_AUTH_CLIENT_ID", "OPENEO_AUTH_CLIENT_SECRET")


class OidcBackend(ThreadingHTTPServer):
    """A backend and its identity provider: which logins are good, and what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.good_refresh_tokens: set[str] = set()
        self.good_secrets: set[str] = set()
        self.is_down = False
        self.grants: list[str] = []

    def documents(self) -> dict[str, object]:
        clients = [{"id": "client", "grant_types": ["refresh_token", f"{DEVICE}+pkce"]}]
        provider = {"id": "idp", "issuer": self.url.rstrip("/"), "title": "", "scopes": ["openid"]}
        return {
            "/": {"api_version": "1.2.0", "endpoints": [{"path": "/credentials/oidc", "methods": ["GET"]}]},
            "/credentials/oidc": {"providers": [{**provider, "default_clients": clients}]},
            "/.well-known/openid-configuration": {
                "issuer": self.url.rstrip("/"),
                "token_endpoint": f"{self.url}token",
                "device_authorization_endpoint": f"{self.url}device",
                "scopes_supported": ["openid"],
            },
        }

    def grant(self, form: dict[str, str]) -> dict[str, str] | None:
        self.grants.append(form["grant_type"])
        if form.get("refresh_token") in self.good_refresh_tokens:
            return {**BEARER, "access_token": "by-refresh-token", "refresh_token": form["refresh_token"]}
        if form.get("client_secret") in self.good_secrets:
            return {**BEARER, "access_token": "by-client-credentials"}
        return None


BEARER = {"token_type": "Bearer"}
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class Handler(BaseHTTPRequestHandler):
    server: OidcBackend

    def do_GET(self) -> None:
        self.answer(self.server.documents().get(self.path))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        fields = {name: values[0] for name, values in form.items()}
        if self.path == "/device":
            self.server.grants.append("device")
        self.answer(self.server.grant(fields) if self.path == "/token" else None)

    def answer(self, document: object) -> None:
        status = 500 if self.server.is_down else 200 if document is not None else 400
        content = json.dumps(document or {"error": "invalid_grant"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def idp(nobody: None) -> Iterator[OidcBackend]:
    with OidcBackend() as backend:
        thread = threading.Thread(target=backend.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield backend
        backend.shutdown()
        thread.join()


@pytest.fixture
def connection(idp: OidcBackend) -> openeo.Connection:
    """Make a Connection whose login has died."""
    return openeo.connect(idp.url).authenticate_oidc_access_token("dead", provider_id="idp")


@pytest.fixture
def logins(connection: openeo.Connection, tmp_path: Path) -> Logins:
    manager = MultiBackendJobManager(root_dir=tmp_path)
    manager.add_backend("north", connection)
    manager._get_connection("north")
    return Logins(manager)


def log_in_elsewhere(idp: OidcBackend, token: str = "good") -> None:
    """Do what `openeo-auth oidc-auth` does in another shell."""
    idp.good_refresh_tokens.add(token)
    RefreshTokenStore().set_refresh_token(idp.url.rstrip("/"), "client", token)


def bearer(connection: openeo.Connection) -> str:
    return str(connection.auth.bearer)


def test_client_credentials_of_the_environment_come_first(
    idp: OidcBackend, logins: Logins, connection: openeo.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in_elsewhere(idp)
    idp.good_secrets.add("secret")
    monkeypatch.setenv("OPENEO_AUTH_CLIENT_ID", "robot")
    monkeypatch.setenv("OPENEO_AUTH_CLIENT_SECRET", "secret")
    assert logins.renew("north") is connection
    assert bearer(connection) == "oidc/idp/by-client-credentials"
    assert idp.grants == ["client_credentials"]


def test_client_credentials_that_are_refused_are_followed_by_the_stored_refresh_token(
    idp: OidcBackend, logins: Logins, connection: openeo.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in_elsewhere(idp)
    monkeypatch.setenv("OPENEO_AUTH_CLIENT_ID", "robot")
    monkeypatch.setenv("OPENEO_AUTH_CLIENT_SECRET", "wrong")
    logins.renew("north")
    assert bearer(connection) == "oidc/idp/by-refresh-token"
    assert idp.grants == ["client_credentials", "refresh_token"]


def test_without_anything_to_renew_it_with_the_command_is_told_and_nobody_is_asked(
    idp: OidcBackend, logins: Logins, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendRefusedError) as raised:
        logins.renew("north")
    assert raised.value.http_status == 401
    assert logins.find_remedy("north") == f"openeo-auth oidc-auth {idp.url} --provider-id idp"
    assert "device" not in idp.grants
    assert capfd.readouterr().out == ""


def test_a_login_that_another_shell_stored_is_noticed_and_used(
    idp: OidcBackend, logins: Logins, connection: openeo.Connection
) -> None:
    with pytest.raises(BackendRefusedError):
        logins.renew("north")
    assert not logins.has_new("north")
    log_in_elsewhere(idp)
    assert logins.has_new("north")
    logins.renew("north")
    assert bearer(connection) == "oidc/idp/by-refresh-token"


def test_a_stored_token_that_is_refused_is_tried_once(idp: OidcBackend, logins: Logins) -> None:
    log_in_elsewhere(idp)
    idp.good_refresh_tokens.clear()
    with pytest.raises(BackendRefusedError):
        logins.renew("north")
    assert not logins.has_new("north")


def test_the_callable_comes_last(idp: OidcBackend, connection: openeo.Connection, tmp_path: Path) -> None:
    made = []

    def log_in() -> openeo.Connection:
        made.append(openeo.connect(idp.url).authenticate_oidc_access_token("new", provider_id="idp"))
        return made[-1]

    manager = MultiBackendJobManager(root_dir=tmp_path)
    manager.add_backend("north", log_in)
    first = manager._get_connection("north")
    assert Logins(manager).renew("north") is made[1]
    log_in_elsewhere(idp)
    assert Logins(manager).renew("north") is made[1] is not first
    assert len(made) == 2


def test_while_a_callable_waits_for_a_person_the_old_connection_is_handed_out(
    idp: OidcBackend, tmp_path: Path
) -> None:
    entered, leave = threading.Event(), threading.Event()
    makers: list[Callable[[], openeo.Connection]] = []

    def log_in() -> openeo.Connection:
        if makers:
            entered.set()
            assert leave.wait(30)
        makers.append(log_in)
        return openeo.connect(idp.url).authenticate_oidc_access_token("one", provider_id="idp")

    manager = MultiBackendJobManager(root_dir=tmp_path)
    manager.add_backend("north", log_in)
    first = manager._get_connection("north")
    thread = threading.Thread(target=Logins(manager).renew, args=("north",))
    thread.start()
    assert entered.wait(30)
    assert manager._get_connection("north") is first
    leave.set()
    thread.join()
    assert manager._get_connection("north") is not first


def test_an_identity_provider_that_is_away_is_no_dead_login(idp: OidcBackend, logins: Logins) -> None:
    idp.is_down = True
    with pytest.raises(BackendUnavailableError):
        logins.renew("north")
