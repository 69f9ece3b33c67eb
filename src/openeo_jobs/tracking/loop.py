"""One round after the other; owns time, sleeping and stopping."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from openeo_jobs.errors import BackendUnavailableError, DatabaseUnavailableError, JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.submission import plan_starts
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.queries import WorkLeft
from openeo_jobs.tracking import (
    backends,
    canceler,
    downloader,
    endings,
    fuse,
    hooks,
    orphans,
    owners,
    poller,
    pricing,
    reasons,
    reconciler,
    retrier,
    starter,
    submitter,
)
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log
from openeo_jobs.tracking.trouble import Trouble

FAREWELL_SECONDS = 30.0
"""How long a run that was told to stop waits for what is under way."""
_LOOK_SECONDS = 20.0
"""How often a run that sleeps looks for a new login, where one is dead."""
_CONNECTING = frozenset({"connect"})
_QUICK = frozenset({"facts", "list", "poll", "probe", "start", "cancel"})


_RECORDERS: dict[str, Callable[[Run, Sequence[Done]], None]] = {
    "connect": backends.record_connected,
    "facts": backends.record_facts,
    "probe": backends.record_probes,
    "list": reconciler.record,
    "poll": poller.record,
    "start": starter.record,
    "cancel": canceler.record,
    "results": downloader.record_results,
    "file": downloader.record_files,
    "logs": reasons.record_error_logs,
    "hook": hooks.record,
    "costs": pricing.record,
}


def keep_going(run: Run, do_round: Callable[[], None]) -> None:
    """Do one round after the other until no work is left, or until the run is told to stop.

    *do_round* does one: `do_one_round`, and what the caller puts around it.
    """
    trouble = Trouble(run)
    while not run.stopping.is_set():
        try:
            do_round()
            if not run.has_checked_files:  # what the logins of this run can reach is known by now
                downloader.check_files(run)
                run.has_checked_files = True
            trouble.end()
            run.stats["run_jobs loop"] += 1
            if not work_left(run):
                return
            _sleep(run, run.settings.poll_sleep)
        except DatabaseUnavailableError as error:
            run.stopping.wait(trouble.tell(error).total_seconds())
        except JobMovedError as error:
            log.warning("%s; the next round takes it as it is then", error)
            run.stopping.wait(run.settings.poll_sleep.total_seconds())


def do_one_round(run: Run) -> None:
    """Reconcile, poll, submit, start, fetch, call hooks, mirror."""
    is_back = owners.return_from_gap(run)
    owners.share(run)
    backends.judge(run)
    connect_all(run)
    owners.take_over(run)
    polled = backends.find_polled(run)
    reconciler.reconcile(run, polled)
    poller.ask(run, polled)
    pricing.ask(run, polled)
    backends.probe(run, polled)
    settle(run, _QUICK)
    backends.judge(run)
    backends.resume(run)
    canceler.cancel(run, polled)
    if not run.stopping.is_set():
        caps = backends.find_caps(run)
        starter.start(run, plan_starts(_created(run), _room(run, caps)), is_fresh=False, caps=caps)
        submitter.submit(
            run,
            lambda: backends.find_caps_for_new(run),
            record=lambda: record(run, run.pool.collect(0)),
        )
    settle(run, _QUICK)
    _finish(run)
    if is_back:
        owners.conclude_return(run)
    run.news_mark = run.store.news.mark()
    mirror(run)


def do_single_round(run: Run) -> None:
    """Do a round that no other follows: what it has begun goes on to its end, if that comes in time."""
    do_one_round(run)
    for _ in range(2):  # what was fetched lets hooks be called
        drain(run, FAREWELL_SECONDS)
        _finish(run)
    say_farewell(run, patience_seconds=FAREWELL_SECONDS)


def settle(run: Run, kinds: frozenset[str]) -> None:
    """Record results as they come, until nothing of *kinds* is waited for, or patience is at its end.

    What has not come by then is recorded when it comes, and never waited for again. A backend that answered
    nothing meanwhile is silent until it does: no round waits for it, and nothing is begun there.
    """
    deadline = time.monotonic() + run.settings.patience.total_seconds()
    heard = record(run, run.pool.collect(0))
    while run.pool.awaited(kinds) - run.silent:
        if run.stopping.is_set():
            return
        if (left := deadline - time.monotonic()) <= 0:
            run.silent |= run.pool.awaited(kinds) - heard
            run.pool.give_up(kinds)
            return
        heard |= record(run, run.pool.collect(left))


def drain(run: Run, seconds: float) -> None:
    """Record results as they come, until nothing but logins is under way, or *seconds* have passed."""
    deadline = time.monotonic() + seconds
    record(run, run.pool.collect(0))
    while run.pool.kinds_under_way() - _CONNECTING and (left := deadline - time.monotonic()) > 0:
        record(run, run.pool.collect(left))


def record(run: Run, results: Sequence[Done]) -> set[str]:
    """Hand results to those who record them, kind by kind; return the lanes in which something answered."""
    heard = {done.lane for done in results if _is_answer(done)}
    run.silent -= heard
    run.heard |= heard
    for kind, recorder in _RECORDERS.items():
        of_kind = [done for done in results if done.kind == kind]
        if of_kind:
            recorder(run, of_kind)
    return heard


def work_left(run: Run) -> WorkLeft:
    """Count the rows that this run can still do something for."""
    return run.store.jobs.work_left(list(run.caps), runner_id=run.runner_id, tripped=fuse.find_reasons(run))


def mirror(run: Run) -> None:
    """Bring the CSV up to date."""
    if run.user_code.write_mirror():
        run.stats["job_db persist"] += 1


def tell_left_behind(run: Run) -> None:
    """Say which rows this run could do nothing for."""
    left = run.store.jobs.left_behind(list(run.caps))
    held = run.store.jobs.work_left(list(run.caps), runner_id=run.runner_id).waiting - work_left(run).waiting
    if held:
        log.error(
            "%d rows were not begun, as the latest attempts all failed alike; see: openeo-jobs failures; "
            "mend it, and start the script again",
            held,
        )
    if left.needing_person:
        log.error("%d rows wait for a person; see: openeo-jobs status", left.needing_person)
    orphans.tell(run)
    for stranded in run.store.logins.stranded():
        log.warning("%s", stranded.describe())
    if left.elsewhere:
        log.warning("%s (registered: %s)", left.describe_elsewhere(), ", ".join(run.caps))


def say_farewell(run: Run, *, patience_seconds: float) -> None:
    """Wait for what is under way, and store it; what has not begun, but for starts, does not begin."""
    run.pool.drop_waiting(keep={"start"})
    try:
        drain(run, patience_seconds)
        mirror(run)
    except DatabaseUnavailableError as error:
        log.warning("%s; what is missing is found out by the next run", error)


def _sleep(run: Run, length: timedelta) -> None:
    """Sleep until the next round; what is done meanwhile is recorded at once.

    A login that was made in another shell meanwhile ends it.
    """
    run.stats["sleep"] += 1
    deadline = time.monotonic() + length.total_seconds()
    while not run.stopping.is_set() and (left := deadline - time.monotonic()) > 0:
        results = run.pool.collect(min(left, _LOOK_SECONDS) if run.dead_logins else left)
        if backends.has_new_login(run):
            record(run, results)
            return
        if results:
            record(run, results)
            if _go_on(run, results):
                continue
            _finish(run)
            if not work_left(run):
                mirror(run)
                return
            if any(done.kind in _CONNECTING and done.error is None for done in results):
                return


def connect_all(run: Run) -> None:
    """Connect to backends; logins that take long hold up no other backend, where there is one."""
    backends.connect(run)
    settle(run, _CONNECTING)
    while not run.gateways and run.pool.kinds_under_way() & _CONNECTING and not run.stopping.is_set():
        record(run, run.pool.collect(run.settings.patience.total_seconds()))


def await_logins(run: Run) -> None:
    """Wait until every login that is under way has come to its end."""
    while run.pool.kinds_under_way() & _CONNECTING and not run.stopping.is_set():
        record(run, run.pool.collect(run.settings.patience.total_seconds()))


def _finish(run: Run) -> None:
    """Do what is left for rows that have ended, and say where a fuse has tripped."""
    endings.finish(run, backends.find_polled(run))
    retrier.retry(run)
    fuse.tell(run)


def _created(run: Run) -> list[Job]:
    return run.store.jobs.of_status([JobStatus.CREATED], runner_id=run.runner_id)


def _room(run: Run, caps: Mapping[str, int]) -> dict[str, int]:
    """Return how many more batch jobs may be started, by backend."""
    started = run.store.jobs.count_started(run.runner_id)
    return {name: cap - started.get(name, 0) for name, cap in caps.items()}


def _go_on(run: Run, results: Sequence[Done]) -> bool:
    """Say whether nothing but files and hooks is done, and enough of them wait: nothing begins for that."""
    kinds = {done.kind for done in results}
    has_files = "file" not in kinds or not run.transfers.room(at=run.now())
    has_hooks = "hook" not in kinds or "hook" in run.pool.kinds_under_way()
    return kinds <= {"file", "hook"} and has_files and has_hooks


def _is_answer(done: Done) -> bool:
    """Say whether a backend has answered, be it with an error."""
    return not isinstance(done.error, BackendUnavailableError) or done.error.http_status is not None
