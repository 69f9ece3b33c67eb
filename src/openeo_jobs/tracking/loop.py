"""One round after the other; owns time, sleeping and stopping."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendError, BackendRefusedError, DatabaseBusyError
from openeo_jobs.jobs import Backend, ErrorClass
from openeo_jobs.policy.failures import STOPS_POLLING, pauses_backend
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.queries import WorkLeft
from openeo_jobs.tracking import downloader, endings, poller, reconciler, starter, submitter
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log

PATIENCE_SECONDS = 10.0
"""How long a round waits for answers before it goes on without them."""
FAREWELL_SECONDS = 30.0
"""How long a run that was told to stop waits for what is under way."""
_QUICK = frozenset({"facts", "list", "poll", "probe", "start", "cancel"})


def _record_facts(run: Run, results: Sequence[Done]) -> None:
    for done in results:
        if done.error is None:
            gateway: Gateway = done.subject
            run.store.backends.record_facts(gateway.name, url=gateway.url, currency=done.value)


def _record_probes(run: Run, results: Sequence[Done]) -> None:
    for done in results:
        if done.error is None:
            run.note_success(done.subject)
        else:
            run.suspect(done.subject, done.error)


_RECORDERS: dict[str, Callable[[Run, Sequence[Done]], None]] = {
    "facts": _record_facts,
    "probe": _record_probes,
    "list": reconciler.record,
    "poll": poller.record,
    "start": starter.record,
    "cancel": poller.record_cancels,
    "download": downloader.record_results,
    "logs": downloader.record_error_logs,
}


def keep_going(run: Run, do_round: Callable[[], None]) -> None:
    """Do one round after the other until no work is left, or until the run is told to stop.

    *do_round* does one: `do_one_round`, and what the caller puts around it.
    """
    has_checked = False
    while not run.stopping.is_set():
        try:
            if not has_checked:
                downloader.check_files(run)
                has_checked = True
            do_round()
            run.stats["run_jobs loop"] += 1
            if not work_left(run):
                return
            _sleep(run, run.settings.poll_sleep)
        except DatabaseBusyError as error:
            log.warning("%s; trying again in the next round", error)
            time.sleep(min(1.0, run.settings.poll_sleep.total_seconds()))


def do_one_round(run: Run) -> None:
    """Reconcile, poll, submit, start, fetch, call hooks, mirror."""
    run.store.runners.record_round(run.runner_id, at=run.now())
    run.answered.clear()
    _connect(run)
    polled = _find_polled(run)
    reconciler.reconcile(run, polled)
    poller.ask(run, polled)
    _probe(run, polled)
    settle(run, _QUICK, PATIENCE_SECONDS)
    run.judge_suspects()
    _resume(run)
    poller.cancel_overdue(run)
    if not run.stopping.is_set():
        names = _open_caps(run)
        waiting = run.store.jobs.of_status([JobStatus.CREATED])
        starter.start(run, [job for job in waiting if job.backend_name in names], is_fresh=False)
        submitter.submit(run, lambda: _open_caps(run), record=lambda: record(run, run.pool.collect(0)))
    settle(run, _QUICK, PATIENCE_SECONDS)
    endings.finish(run, _find_polled(run))
    mirror(run)


def settle(run: Run, kinds: frozenset[str] | None, seconds: float) -> None:
    """Record results as they come, until nothing of *kinds* is under way, or *seconds* have passed."""
    deadline = time.monotonic() + seconds
    record(run, run.pool.collect(0))
    while run.pool.count(kinds) and (left := deadline - time.monotonic()) > 0:
        if run.stopping.is_set() and kinds is not None:
            return
        record(run, run.pool.collect(left))


def record(run: Run, results: Sequence[Done]) -> None:
    """Hand results to those who record them, kind by kind."""
    for kind, recorder in _RECORDERS.items():
        of_kind = [done for done in results if done.kind == kind]
        if of_kind:
            recorder(run, of_kind)


def work_left(run: Run) -> WorkLeft:
    """Count the rows that this run can still do something for."""
    return run.store.jobs.work_left(list(run.caps), runner_id=run.runner_id)


def mirror(run: Run) -> None:
    """Bring the CSV up to date."""
    if run.user_code.write_mirror():
        run.stats["job_db persist"] += 1


def tell_left_behind(run: Run) -> None:
    """Say which rows this run could do nothing for."""
    left = run.store.jobs.left_behind(list(run.caps))
    if left.needing_person:
        log.error("%d rows wait for a person; see: openeo-jobs status", left.needing_person)
    if left.elsewhere:
        log.warning("%s (registered: %s)", left.describe_elsewhere(), ", ".join(run.caps))


def say_farewell(run: Run, *, patience_seconds: float) -> None:
    """Wait for what is under way, and store it; what has not begun, but for starts, does not begin."""
    run.pool.drop_waiting(keep={"start"})
    try:
        settle(run, None, patience_seconds)
        mirror(run)
    except DatabaseBusyError as error:
        log.warning("%s; what is missing is found out by the next run", error)


def _sleep(run: Run, length: timedelta) -> None:
    """Sleep until the next round; what is done meanwhile is recorded at once."""
    run.stats["sleep"] += 1
    deadline = time.monotonic() + length.total_seconds()
    while not run.stopping.is_set() and (left := deadline - time.monotonic()) > 0:
        results = run.pool.collect(left)
        if results:
            record(run, results)
            endings.finish(run, _find_polled(run))
            if not work_left(run):
                mirror(run)
                return


def _connect(run: Run) -> None:
    """Connect to the backends that are not connected, and are not paused."""
    for name, backend in _backends(run).items():
        if not _is_due(run, backend):
            continue
        if backend.paused_class is ErrorClass.AUTH and run.gateways.pop(name, None) is not None:
            run.user_code.disconnect(name)
        if name in run.gateways:
            continue
        began_at = run.now()
        try:
            gateway = run.user_code.connect(name)
        except Exception as error:
            # Connecting holds up the round: a slow failure is tried again so rarely that it costs little.
            run.pause(name, _as_connect_error(error), at_least=(run.now() - began_at) * 10)
            continue
        run.gateways[name] = gateway
        run.pool.submit("facts", lane=name, key=name, subject=gateway, function=gateway.get_currency)


def _probe(run: Run, names: Sequence[str]) -> None:
    """Ask backends that were away whether they are back, by more than the one row that found them away."""
    for name, backend in _backends(run).items():
        if name in names and backend.paused_class is ErrorClass.TRANSIENT:
            gateway = run.gateways[name]
            run.pool.submit("probe", lane=name, key=name, subject=name, function=gateway.list_batch_jobs)


def _as_connect_error(error: Exception) -> BackendError:
    """Return *error* as one that pauses its backend: what cannot be connected to may come back."""
    failure = as_backend_error(error)
    if failure is not None and pauses_backend(failure):
        return failure
    return BackendRefusedError(f"cannot connect: {type(error).__name__}: {error}", http_status=401)


def _backends(run: Run) -> dict[str, Backend]:
    return {b.name: b for b in run.store.backends.all() if b.name in run.caps}


def _is_due(run: Run, backend: Backend) -> bool:
    return backend.retry_at is None or backend.retry_at <= run.now()


def _find_polled(run: Run) -> list[str]:
    """Return the backends that may be asked for something now."""
    return [name for name, backend in _backends(run).items() if _may_poll(run, backend)]


def _may_poll(run: Run, backend: Backend) -> bool:
    if backend.name not in run.gateways:
        return False
    return backend.paused_class not in STOPS_POLLING or _is_due(run, backend)


def _resume(run: Run) -> None:
    """End the pauses that are over: what was asked meanwhile did not begin them anew."""
    for name, backend in _backends(run).items():
        if backend.paused_since is None or not _is_due(run, backend) or name not in run.gateways:
            continue
        log.info("%s back after %.3g s", name, (run.now() - backend.paused_since).total_seconds())
        run.store.backends.resume(name)


def _open_caps(run: Run) -> dict[str, int]:
    """Return the caps of the backends that may get work now."""
    return {
        name: run.caps[name]
        for name, backend in _backends(run).items()
        if name in run.gateways and backend.paused_class is None
    }
