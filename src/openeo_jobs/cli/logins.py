"""How commands get to backends: by the urls in the database, with logins that ask nobody anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from openeo_jobs.backends.connecting import connect_unattended
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
