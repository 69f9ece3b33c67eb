"""Logging in anew without a person: with what the environment and openEO's client have stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.policy.logins import login_command

if TYPE_CHECKING:
    import openeo

log = logging.getLogger("openeo_jobs")

_CREDENTIALS = ("OPENEO_AUTH_CLIENT_ID", "OPENEO_AUTH_CLIENT_SECRET")


def renew(connection: openeo.Connection, *, environment: Mapping[str, str]) -> bool:
    """Log *connection* in anew, and return whether that was possible; never asks a person for anything.

    First with client credentials, if they are in *environment* (as openEO's client reads them:
    `OPENEO_AUTH_CLIENT_ID`, `OPENEO_AUTH_CLIENT_SECRET`), then with the refresh token that openEO's client
    has stored, perhaps in another process meanwhile. Logins with a user and a password leave nothing to renew
    them with.

    :raises BackendUnavailableError: who could renew the login cannot be reached.
    """
    if _is_basic(connection):
        return False
    if all(environment.get(name) for name in _CREDENTIALS) and _try(
        connection, "client credentials", connection.authenticate_oidc_client_credentials
    ):
        return True
    provider_id, client_id = _provider_of(connection), _client_of(connection)

    def use_refresh_token() -> object:
        return connection.authenticate_oidc_refresh_token(
            provider_id=provider_id, client_id=client_id, store_refresh_token=True
        )

    return _try(connection, "the stored refresh token", use_refresh_token)


def mark_of_stored_logins(connection: openeo.Connection) -> int | None:
    """Return a number that differs once a login was stored by openEO's client, in whatever process."""
    from openeo.rest.auth.config import RefreshTokenStore

    store = getattr(connection, "_refresh_token_store", None) or RefreshTokenStore()
    try:
        return int(store.path.stat().st_mtime_ns)
    except OSError:
        return None


def find_remedy(connection: openeo.Connection | None) -> str | None:
    """Return the command that mends a dead login of *connection*; None where only its script can."""
    if connection is None or _is_basic(connection):
        return None
    url = str(getattr(connection, "_orig_url", None) or connection.root_url)
    return login_command(url, provider_id=_provider_of(connection))


def _try(connection: openeo.Connection, what: str, log_in: Callable[[], object]) -> bool:
    try:
        log_in()
    except Exception as error:
        failure = as_backend_error(error)
        if isinstance(failure, BackendUnavailableError):
            raise failure from error
        log.info("%s: no login with %s: %s", connection.root_url, what, error)
        return False
    log.info("%s: logged in anew with %s", connection.root_url, what)
    return True


def _is_basic(connection: openeo.Connection) -> bool:
    return _bearer_of(connection).startswith("basic/")


def _provider_of(connection: openeo.Connection) -> str | None:
    scheme, _, rest = _bearer_of(connection).partition("/")
    return rest.partition("/")[0] or None if scheme == "oidc" else None


def _client_of(connection: openeo.Connection) -> str | None:
    renewer: Any = getattr(connection, "_oidc_auth_renewer", None)
    client_id = getattr(renewer, "client_id", None)
    return client_id if isinstance(client_id, str) else None


def _bearer_of(connection: openeo.Connection) -> str:
    return str(getattr(connection.auth, "bearer", ""))
