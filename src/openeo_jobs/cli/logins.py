"""How commands get to backends: by the urls in the database, with logins that ask nobody anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

from openeo_jobs.backends.connecting import connect_unattended
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.jobs import Backend

_METHOD = "OPENEO_AUTH_METHOD"
"""A variable of openEO's client; `client_credentials` means those of the environment."""


def find_connections(backends: Iterable[Backend]) -> dict[str, Callable[[], Any]]:
    """Return, for the backends whose url is known, what connects to each."""
    with_client_credentials = os.environ.get(_METHOD) == "client_credentials"
    return {
        backend.name: partial(
            connect_unattended, backend.url, with_client_credentials=with_client_credentials
        )
        for backend in backends
        if backend.url
    }


def make_connecting(backends: Iterable[Backend]) -> Callable[[str], OpenEOGateway]:
    """Return what connects to the backend of a name, once. It raises `BackendError` where that fails."""
    connections = find_connections(backends)

    @cache
    def connect(name: str) -> OpenEOGateway:
        if name not in connections:
            raise BackendUnavailableError(f"the url of {name} is not known")
        connection = connections[name]()
        return OpenEOGateway(name, lambda: connection)

    return connect
