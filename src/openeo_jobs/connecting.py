"""The connections of a manager: made on first use, watched, and logged in anew once a login has died."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openeo import Connection

from openeo_jobs.backends.logins import find_remedy, mark_of_stored_logins, renew
from openeo_jobs.backends.wire import watch
from openeo_jobs.errors import BackendRefusedError, UsageError

if TYPE_CHECKING:
    from openeo_jobs.manager import MultiBackendJobManager


@dataclass(frozen=True, slots=True)
class RegisteredBackend:
    """A backend as it was registered: how to get its connection, and its cap."""

    get_connection: Callable[[], Connection]
    parallel_jobs: int
    connecting: threading.RLock = field(default_factory=threading.RLock)
    makes_anew: bool = True
    """Whether `get_connection` makes another connection each time; else it is always the same."""


def get_connection(manager: MultiBackendJobManager, name: str) -> Connection:
    """Return the connection of a backend, watched; it is made on first use.

    One that is there is returned at once, also while another thread logs in anew.
    """
    if name not in manager.backends:
        raise UsageError(f"no backend is registered as {name!r}; there are: {', '.join(manager.backends)}")
    connection = manager._connections.get(name)
    if connection is None:
        with manager.backends[name].connecting:
            connection = manager._connections.get(name) or _make(manager, name)
    watch(connection, name)
    return connection


class Logins:
    """What is done about the dead logins of a manager; each method but `renew` returns at once."""

    def __init__(self, manager: MultiBackendJobManager) -> None:
        self._manager = manager
        self._seen: dict[str, int | None] = {}

    def renew(self, name: str) -> Connection:
        """Log in anew: with client credentials, with the stored refresh token, or by the callable.

        What can be renewed is renewed in the connection that is there: it goes on wherever it is used.
        """
        backend = self._manager.backends[name]
        known = self._manager._connections.get(name)
        if known is None and not backend.makes_anew:
            known = backend.get_connection()
        if known is not None:
            self._seen[name] = mark_of_stored_logins(known)
        if known is None or not renew(known, environment=os.environ):
            if not backend.makes_anew:
                raise BackendRefusedError("the login is not valid any more", http_status=401)
            with backend.connecting:
                _make(self._manager, name)
        return get_connection(self._manager, name)

    def has_new(self, name: str) -> bool:
        """Say whether a login was stored since this one was last renewed, or tried to."""
        connection = self._manager._connections.get(name)
        if connection is None or name not in self._seen:
            return False
        return mark_of_stored_logins(connection) not in (None, self._seen[name])

    def find_remedy(self, name: str) -> str | None:
        """Return the command that mends a dead login; None where only the script can."""
        return find_remedy(self._manager._connections.get(name))


def _make(manager: MultiBackendJobManager, name: str) -> Connection:
    connection = manager.backends[name].get_connection()
    if not isinstance(connection, Connection):
        raise UsageError(
            f"the callable of backend {name!r} returned {type(connection).__name__}, not an openeo.Connection"
        )
    manager._connections[name] = connection
    return connection
