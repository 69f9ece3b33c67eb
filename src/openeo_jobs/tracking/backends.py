"""The backends of a run: connected, paused and back again, silent, and which of them get work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendError, BackendRefusedError
from openeo_jobs.jobs import Backend, ErrorClass
from openeo_jobs.policy.failures import pauses_backend
from openeo_jobs.policy.logins import is_doubtful
from openeo_jobs.policy.submission import effective_cap
from openeo_jobs.tracking import accounts, fuse
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log, say_length


def connect(run: Run) -> None:
    """Connect to the backends that are not connected, and log in anew where a login has died.

    Each in a thread of its own: the user's code may log in there, and take minutes. A login that was stored
    by another process meanwhile is used at once, whatever is tried already.
    """
    doubted = _find_doubted(run)
    for name, backend in _registered(run).items():
        if name in doubted:
            _submit(run, name, run.user_code.reconnect)
        elif name in run.dead_logins:
            is_new = run.user_code.has_new_login(name)
            if is_new or _is_due(run, backend):
                run.gateways.pop(name, None)
                run.renewed.add(name)
                _submit(run, name, run.user_code.reconnect, key=f"{name} again" if is_new else name)
        elif name not in run.gateways and _is_due(run, backend):
            _submit(run, name, run.user_code.connect)


def has_new_login(run: Run) -> bool:
    """Say whether a login was stored, by whatever process, since one that is dead was last tried to renew."""
    return any(run.user_code.has_new_login(name) for name in run.dead_logins)


def record_connected(run: Run, results: Sequence[Done]) -> None:
    """Use the backends that are connected; those that could not be connected to pause."""
    for done in results:
        name: str = done.subject
        if done.error is None:
            connected: accounts.Connected = done.value
            gateway = connected.gateway
            accounts.record(run, name, connected)
            run.gateways[name] = gateway
            run.dead_logins.discard(name)
            if connected.dead_login is not None:
                run.pause(name, connected.dead_login)
                continue
            run.pool.submit("facts", lane=name, key=name, subject=gateway, function=gateway.get_currency)
        elif name in run.gateways:  # there is a login, new or not, that may do
            log.info("%s: not logged in anew: %s", name, done.error)
        else:
            run.dead_logins.discard(name)
            run.pause(name, _as_connect_error(done.error))


def record_facts(run: Run, results: Sequence[Done]) -> None:
    """Store where backends are, and the currency of their costs."""
    for done in results:
        if done.error is None:
            gateway: Gateway = done.subject
            run.store.backends.record_facts(gateway.name, url=gateway.url, currency=done.value)


def probe(run: Run, names: Sequence[str]) -> None:
    """Ask backends that were away whether they are back, by more than the one row that found them away."""
    for name, backend in _registered(run).items():
        if name in names and backend.paused_class is ErrorClass.TRANSIENT:
            gateway = run.gateways[name]
            run.pool.submit("probe", lane=name, key=name, subject=name, function=gateway.list_batch_jobs)


def record_probes(run: Run, results: Sequence[Done]) -> None:
    """Record which backends are back."""
    for done in results:
        if done.error is None:
            run.note_success(done.subject)
        else:
            run.suspect(done.subject, done.error)


def judge(run: Run) -> None:
    """Pause the backends that did nothing but fail since they were last judged.

    Failures in a row are forgotten once something is done without a pause: a backend that tells statuses, and
    refuses to create, rests longer each time.
    """
    run.judge_suspects()
    for name, backend in _registered(run).items():
        if backend.paused_since is None and name in run.answered:
            run.renewed.discard(name)
            if backend.failures_in_a_row:
                run.store.backends.forget_failures(name, runner_id=run.runner_id)
    run.answered.clear()


def resume(run: Run) -> None:
    """End the pauses that are over, unless what was asked meanwhile began them anew, or got no answer."""
    for name, backend in _registered(run).items():
        if backend.paused_since is None or not _is_due(run, backend):
            continue
        if name in run.gateways and name not in run.silent | run.dead_logins:
            log.info("%s back after %s", name, say_length(run.now() - backend.paused_since))
            run.store.backends.resume(backend)


def find_polled(run: Run) -> list[str]:
    """Return the backends that may be asked for something now."""
    return [
        name
        for name, backend in _registered(run).items()
        if _is_here(run, name) and (backend.is_polled or _is_due(run, backend))
    ]


def find_caps(run: Run) -> dict[str, int]:
    """Return the caps of the backends that are there, and not paused."""
    return {
        name: effective_cap(backend, run.caps[name], at=run.now())
        for name, backend in _registered(run).items()
        if _is_here(run, name) and name not in run.silent and backend.paused_class is None
    }


def find_caps_for_new(run: Run) -> dict[str, int]:
    """Return the caps of the backends on which something new may be created: those that were listed."""
    caps = {name: cap for name, cap in find_caps(run).items() if name in run.listed}
    trips = fuse.find_trips(run) if caps else {}
    return {name: cap for name, cap in caps.items() if name not in trips}


def _as_connect_error(error: Exception) -> BackendError:
    """Return *error* as one that pauses its backend: what cannot be connected to may come back."""
    failure = as_backend_error(error)
    if failure is not None and pauses_backend(failure):
        return failure
    return BackendRefusedError(f"cannot connect: {type(error).__name__}: {error}", http_status=401)


def _registered(run: Run) -> dict[str, Backend]:
    return {b.name: b for b in run.store.backends.all(runner_id=run.runner_id) if b.name in run.caps}


def _is_here(run: Run, name: str) -> bool:
    return name in run.gateways and name not in run.dead_logins


def _is_due(run: Run, backend: Backend) -> bool:
    """Say whether a pause is over; that for a login ends once there is one that is not known to be dead."""
    if backend.paused_class is ErrorClass.AUTH and backend.name not in run.dead_logins:
        return True
    return backend.retry_at is None or backend.retry_at <= run.now()


def _submit(run: Run, name: str, function: Callable[[str], Gateway], *, key: str | None = None) -> None:
    run.pool.submit(
        "connect",
        lane=f"connect {name}",
        key=key or name,
        subject=name,
        function=partial(accounts.connect, function, name),
    )


def _find_doubted(run: Run) -> set[str]:
    """Return the backends that are connected, and answered 5xx, and nothing else, for some rounds."""
    run.rounds_of_errors.update(run.erring)
    run.erring.clear()
    doubted = {name for name, rounds in run.rounds_of_errors.items() if is_doubtful(rounds)}
    for name in doubted:
        del run.rounds_of_errors[name]
    return doubted & set(run.gateways) - run.dead_logins
