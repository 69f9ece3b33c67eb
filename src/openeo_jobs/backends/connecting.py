"""Connect to a backend where nobody can be asked to log in: with what is stored, or in the environment."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.backends.texts import tidied
from openeo_jobs.errors import BackendRefusedError

TIMEOUT_SECONDS = 30.0
"""How long an answer may take before a backend counts as not there."""

if TYPE_CHECKING:
    import openeo


def connect_unattended(url: str, *, with_client_credentials: bool = False) -> openeo.Connection:
    """Connect to the backend at *url* and log in, without asking anybody anything.

    With the client credentials of the environment (`OPENEO_AUTH_CLIENT_ID` and others); else with the refresh
    token that openEO's client has stored at an earlier login, else with the user name and password that
    `openeo-auth add-basic` has stored for *url*.

    :raises BackendError: nobody answers, or there is no login.
    """
    try:
        connection: openeo.Connection = import_module("openeo").connect(url, default_timeout=TIMEOUT_SECONDS)
    except Exception as error:
        raise as_backend_error(error) or _no_login(url, [error]) from error
    logins = [_use_client_credentials] if with_client_credentials else [_use_refresh_token, _use_password]
    failures: list[Exception] = []
    for log_in in logins:
        try:
            log_in(connection)
        except Exception as error:
            failures.append(error)
        else:
            return connection
    raise _no_login(url, failures) from failures[0]


def _use_client_credentials(connection: openeo.Connection) -> None:
    connection.authenticate_oidc_client_credentials()


def _use_refresh_token(connection: openeo.Connection) -> None:
    connection.authenticate_oidc_refresh_token(store_refresh_token=True)


def _use_password(connection: openeo.Connection) -> None:
    connection.authenticate_basic()


def _no_login(url: str, failures: list[Exception]) -> BackendRefusedError:
    reasons = "; ".join(dict.fromkeys(tidied(str(failure)) for failure in failures))
    return BackendRefusedError(f"no login for {url} ({reasons})", http_status=401)
