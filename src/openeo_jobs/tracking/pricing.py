"""Ask again for the costs of batch jobs that have ended: many backends know them only a while later."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from openeo_jobs.errors import BackendError
from openeo_jobs.jobs import ErrorClass, Observation
from openeo_jobs.policy.costs import next_ask
from openeo_jobs.policy.failures import classify
from openeo_jobs.storage.costs import Answer, Unpriced
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log

_MOST = 100
"""How many are asked for in one round: a backend that never tells costs is not flooded."""


def ask(run: Run, backend_names: Collection[str]) -> None:
    """Ask these backends for costs that are due; in a lane of their own, and no round waits for it."""
    due = run.store.costs.due(backend_names, runner_id=run.runner_id, at=run.now(), limit=_MOST)
    for one in due:
        gateway = run.gateways[one.backend_name]
        run.pool.submit(
            "costs",
            lane=f"costs {one.backend_name}",
            key=one.attempt_id,
            subject=one,
            function=partial(gateway.get_batch_job, one.batch_job_id),
        )


def record(run: Run, results: Sequence[Done]) -> None:
    """Store the costs that are known by now; the others are asked for again, for a day."""
    answers = []
    for done in results:
        if done.error is not None:
            run.suspect(done.subject.backend_name, done.error)
            if not isinstance(done.error, BackendError):
                log.warning("costs of %s not read: %s", done.subject.batch_job_id, done.error)
        is_answer = done.error is None or classify(done.error) is ErrorClass.PERMANENT
        answers.append(_make_answer(run, done.subject, done.value, is_answer=is_answer))
    run.store.costs.record(answers)


def _make_answer(run: Run, unpriced: Unpriced, seen: Observation | None, *, is_answer: bool) -> Answer:
    """Say what is stored; what is no answer of the batch job is never the last time that it is asked."""
    if seen is not None and seen.costs is not None:
        return Answer(unpriced=unpriced, costs=seen.costs, usage=seen.usage)
    again_at = next_ask(
        unpriced.tries + 1,
        ended_at=unpriced.ended_at if is_answer else run.now(),
        at=run.now(),
        poll_sleep=run.settings.poll_sleep,
        chance=run.take_chance(),
    )
    return Answer(unpriced=unpriced, usage=seen.usage if seen is not None else {}, again_at=again_at)
