"""Accounts: as whom this run is logged in; batch jobs of others do not exist for it, and are left to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendRefusedError
from openeo_jobs.jobs import ErrorClass
from openeo_jobs.policy.failures import classify
from openeo_jobs.tracking.run import Run, log


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A backend that is connected, and as whom; or why its login does not do."""

    gateway: Gateway
    account: str | None = None
    dead_login: BackendRefusedError | None = None


def connect(make_gateway: Callable[[str], Gateway], backend_name: str) -> Connected:
    """Connect to a backend, and ask as whom; for the thread that connects."""
    gateway = make_gateway(backend_name)
    try:
        return Connected(gateway=gateway, account=gateway.get_account())
    except BackendRefusedError as error:
        if classify(error) is ErrorClass.AUTH:
            return Connected(gateway=gateway, dead_login=error)
        raise


def record(run: Run, backend_name: str, connected: Connected) -> None:
    """Store as whom this run is logged in; rows of an account that it is no more are let go."""
    if connected.dead_login is not None:
        return
    if connected.account is not None:
        run.store.backends.forget_dead_login(backend_name)
    let_go = run.store.logins.record(run.runner_id, backend_name, connected.account)
    if let_go:
        log.warning("%s: another login now; %d rows of the account before are let go", backend_name, let_go)


def tell(run: Run) -> None:
    """Say once which rows wait for runs of other accounts."""
    for one in run.store.logins.stranded():
        run.log_once(("account", one.backend_name, one.account), "%s", one.describe())
