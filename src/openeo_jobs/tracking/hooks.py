"""Hooks in threads of their own: each is called until it has returned, with the row as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Attempt, Job
from openeo_jobs.policy.hooks import HOOK_TRIES, count_tries, next_call
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log

LANE = "hooks of all backends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A hook that was called for a job, as that was, and what it raised."""

    job: Job
    error: BaseException | None = None


def ask(run: Run, job: Job) -> None:
    """Let the hook for the end of *job* be called, in its turn; where it is not the user's, it is over."""
    if not run.user_code.has_hook(job.status):
        run.store.hooks.record_returned(job, at=run.now())
        return
    run.pool.submit(
        "hook",
        lane=LANE,
        threads=run.settings.hook_workers,
        key=job.number,
        subject=job,
        function=partial(_call, run, job),
    )


def record(run: Run, results: Sequence[Done]) -> None:
    """Store which hooks have returned, and which are called again."""
    for done in results:
        try:
            _record(run, done)
        except JobMovedError as error:
            log.info("%s", error)


def _call(run: Run, job: Job) -> Call | None:
    """Call the hook, with the row as it is now.

    The hooks before it may have taken long: nothing is called for a job that is not ours any more.
    """
    now = None if run.stopping.is_set() else run.store.hooks.load(job)
    if now is None:
        return None
    try:
        run.user_code.call_hook(now)
    except BaseException as error:  # also of user code that wants to leave: not from this thread
        return Call(job=now, error=error)
    return Call(job=now)


def _record(run: Run, done: Done) -> None:
    call: Call | None = done.value
    if done.error is not None:  # the database: the next round asks anew
        log.info("row %d: its hook was not called: %s", done.subject.number, done.error)
    elif call is not None and call.error is None:
        run.store.hooks.record_returned(call.job, at=run.now())
    elif call is not None and call.job.attempt is not None:
        _record_raised(run, call.job, call.job.attempt, call.error)


def _record_raised(run: Run, job: Job, attempt: Attempt, error: BaseException | None) -> None:
    tries = count_tries(attempt)
    again_at = next_call(tries, at=run.now(), poll_sleep=run.settings.poll_sleep, chance=run.take_chance())
    run.stats["hook error"] += 1
    if again_at is not None:
        log.warning("row %d: the hook for %s raised (try %d)", job.number, job.status, tries, exc_info=error)
    else:
        log.error(
            "row %d: the hook for %s raised, the last of %d tries; call it again: openeo-jobs retry --hooks",
            *(job.number, job.status, HOOK_TRIES),
            exc_info=error,
        )
    run.store.hooks.record_raised(
        job,
        message=f"{type(error).__name__}: {error}",
        tries=tries,
        again_at=again_at,
        runner_id=run.runner_id,
    )
