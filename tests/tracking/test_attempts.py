"""Attempts: another one where the class of the failure allows it, each kept with its batch job and costs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.jobs import ErrorClass, Outcome
from openeo_jobs.policy.attempts import read_max_attempts
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop

BOOM = BackendUnavailableError("[500] boom", http_status=500)


def attempts(bench: Bench) -> list[tuple[Any, ...]]:
    select = "SELECT attempt, id, error_class, error_message, costs FROM attempts ORDER BY job, attempt"
    with bench.store._database.reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(select)]


def fail_remotely(bench: Bench, batch_job_id: str, message: str, costs: float) -> None:
    one = bench.gateway.batch_jobs[batch_job_id]
    one.status, one.costs, one.error_logs = "error", costs, [{"level": "error", "message": message}]


def allow(**numbers: int) -> dict[str, Any]:
    by_class = {name.replace("_", " "): number for name, number in numbers.items()}
    return {"max_attempts": read_max_attempts(by_class)}


def test_a_batch_job_that_fails_remotely_is_not_tried_again_by_default(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    fail_remotely(bench, "north-1", "out of memory", 4.5)
    for _ in range(4):
        bench.round(4000)
    assert bench.status() is JobStatus.ERROR
    assert len(bench.gateway.batch_jobs) == 1


def test_each_attempt_is_kept_with_its_batch_job_costs_and_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **allow(remote_error=3))
    bench.round()
    for number, message in ((1, "out of memory"), (2, "out of luck"), (3, "out of order")):
        fail_remotely(bench, f"north-{number}", message, number * 1.5)
        for _ in range(4):
            bench.round(200)
    assert bench.status() is JobStatus.ERROR
    assert attempts(bench) == [
        (1, "north-1", "remote error", "out of memory", 1.5),
        (2, "north-2", "remote error", "out of luck", 3.0),
        (3, "north-3", "remote error", "out of order", 4.5),
    ]
    assert not loop.work_left(bench.run)


def test_a_row_that_is_tried_again_keeps_the_run_alive_and_waits_longer_each_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **allow(remote_error=5))
    bench.round()
    waits = []
    for number in (1, 2, 3):
        fail_remotely(bench, f"north-{number}", "no luck", 0)
        bench.round(60)
        bench.round(60)
        job = bench.job()
        assert job.status is JobStatus.NOT_STARTED
        assert job.not_before is not None
        assert loop.work_left(bench.run)
        failed_at = bench.now - timedelta(seconds=60)
        waits.append((job.not_before - failed_at) // timedelta(seconds=60))
        bench.round(240)
    assert waits == [1, 2, 4]


def test_the_hook_of_a_failed_attempt_is_called_before_the_next_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **allow(remote_error=2))
    bench.hooks = {JobStatus.ERROR: lambda job: None}
    bench.round()
    fail_remotely(bench, "north-1", "no luck", 0)
    for _ in range(4):
        bench.round(60)
    assert bench.hook_calls == [(1, JobStatus.ERROR)]
    assert len(bench.gateway.batch_jobs) == 2


def test_a_row_whose_hook_raises_is_tried_again_once_the_hook_has_returned(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **allow(remote_error=2))

    def fail(job: Any) -> None:
        raise RuntimeError("disk full")

    bench.hooks = {JobStatus.ERROR: fail}
    bench.round()
    fail_remotely(bench, "north-1", "no luck", 0)
    for _ in range(6):
        bench.round(60)
    assert bench.status() is JobStatus.ERROR
    assert len(bench.hook_calls) == 3
    bench.hooks = {JobStatus.ERROR: lambda job: None}
    bench.restart()
    for _ in range(3):
        bench.round(60)
    assert len(bench.gateway.batch_jobs) == 2


def test_killed_between_the_failure_and_the_retry_it_is_tried_again_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **allow(remote_error=2))
    bench.round()
    fail_remotely(bench, "north-1", "no luck", 0)

    def die(*_: Any, **__: Any) -> None:
        raise b.Crash

    bench.store.failures.retry = die  # type: ignore[method-assign]
    with pytest.raises(b.Crash):
        for _ in range(3):
            bench.round(60)
    assert bench.status() is JobStatus.ERROR
    bench.restart()
    bench.round(60)
    bench.round(61)
    assert len(bench.gateway.batch_jobs) == 2


def test_a_transient_failure_gets_three_attempts_and_what_waits_for_a_backend_does_not_count(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    away = BackendUnavailableError("[503] busy", http_status=503)
    errors = iter([away, away, BOOM, away, BOOM, BOOM, BOOM])
    bench.script = lambda *args: b.refuse(next(errors))(*args)
    for _ in range(20):
        bench.round(4000)
    assert bench.status() is JobStatus.START_FAILED
    assert [found[3] for found in attempts(bench)] == [
        *("[503] busy", "[503] busy", "[500] boom", "[503] busy", "[500] boom", "[500] boom")
    ]


def test_a_backend_that_goes_away_while_it_creates_fails_no_row_however_often(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    away = BackendUnavailableError("[504] gateway time-out", http_status=504)

    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher, arrives=False, outcome=Outcome.UNKNOWN)
        watcher.saw("north", away)
        raise away

    bench.script = script
    for _ in range(20):
        bench.round(4000)
        assert bench.status() in (JobStatus.SUBMITTING, JobStatus.NOT_STARTED)
    assert len(attempts(bench)) > 3


def test_a_permanent_failure_is_tried_again_only_where_that_is_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **allow(permanent=2))

    def script(bench, job, gateway, watcher):
        raise KeyError("west")

    bench.script = script
    for _ in range(5):
        bench.round(4000)
    assert bench.status() is JobStatus.START_FAILED
    assert len(attempts(bench)) == 2


def test_a_user_who_retries_gives_all_attempts_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_failures_in_a_row=None)
    bench.script = b.refuse(BOOM)
    for _ in range(5):
        bench.round(4000)
    assert len(attempts(bench)) == 3
    bench.store.retries.retry([bench.job()], reason="again", at=bench.now)
    for _ in range(5):
        bench.round(4000)
    assert len(attempts(bench)) == 6
    assert bench.status() is JobStatus.START_FAILED


def test_a_row_that_its_user_has_set_aside_is_not_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.script = b.refuse(BOOM)
    bench.store.failures.retry = lambda *_, **__: None  # type: ignore[method-assign]
    bench.round()
    with bench.store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE job SET user_status = 'parked'")
    bench.restart()
    bench.round(4000)
    assert bench.status() is JobStatus.START_FAILED


@pytest.fixture
def poisoned(tmp_path: Path) -> Bench:
    """Row 1 takes the process down with it, whenever it is called."""
    bench = Bench(tmp_path, rows=3)
    bench.script = lambda bench, job, *rest: (b.die_before_the_wire if job.number == 1 else b.create)(
        bench, job, *rest
    )
    return bench


def crash_and_restart(bench: Bench) -> None:
    with pytest.raises(b.Crash):
        bench.round(1)
    bench.restart()


def test_a_row_that_kills_the_process_three_times_is_start_failed_and_the_others_go_on(
    poisoned: Bench,
) -> None:
    for _ in range(3):
        crash_and_restart(poisoned)
    poisoned.round(1)
    failure = poisoned.job(1).attempt.failure
    assert poisoned.status(1) is JobStatus.START_FAILED
    assert failure.message == ("start_job has not returned 3 times in a row: it seems to end the process")
    assert [found[2] for found in attempts(poisoned)][:3] == [ErrorClass.INTERRUPTED] * 3
    assert [poisoned.status(n) for n in (2, 3)] == [JobStatus.QUEUED_FOR_START] * 2


def die_in_sending(bench: Bench, job, gateway, watcher) -> None:
    """The intent is stored; then what is sent ends the process, and nothing of it arrives."""
    watcher.creating(gateway.name, "fingerprint", can_tag=True)
    raise b.Crash


def test_a_row_that_kills_the_process_after_its_intent_is_stored_fails_as_well(poisoned: Bench) -> None:
    poisoned.script = lambda bench, job, *rest: (die_in_sending if job.number == 1 else b.create)(
        bench, job, *rest
    )
    deaths = 0
    for _ in range(30):
        try:
            poisoned.round(61)
        except b.Crash:
            deaths += 1
            poisoned.restart()
    assert deaths == 3
    assert poisoned.status(1) is JobStatus.START_FAILED
    assert poisoned.count_creations() == {2: 1, 3: 1}
    assert [found[2] for found in attempts(poisoned)][:3] == [ErrorClass.INTERRUPTED] * 3


def test_a_request_that_was_lost_is_no_kill(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_attempts=read_max_attempts({"transient": 9}))
    bench.script = b.never_arrive
    for _ in range(20):
        bench.round(500)
    kinds = {found[2] for found in attempts(bench)[:-1]}
    assert len(attempts(bench)) > 3
    assert kinds == {ErrorClass.TRANSIENT}


def test_two_kills_are_no_poison(poisoned: Bench) -> None:
    for _ in range(2):
        crash_and_restart(poisoned)
    poisoned.script = b.create
    poisoned.round(1)
    assert poisoned.status(1) is JobStatus.QUEUED_FOR_START


def test_a_row_that_came_further_in_between_starts_counting_anew(poisoned: Bench) -> None:
    for _ in range(2):
        crash_and_restart(poisoned)
    lethal, poisoned.script = poisoned.script, b.refuse(BOOM)
    poisoned.round(1)
    poisoned.script = lethal
    poisoned.now += timedelta(seconds=4000)
    crash_and_restart(poisoned)
    poisoned.script = b.create
    poisoned.round(1)
    assert poisoned.status(1) is JobStatus.QUEUED_FOR_START


def test_a_retry_forgives_the_kills(poisoned: Bench) -> None:
    for _ in range(3):
        crash_and_restart(poisoned)
    poisoned.round(1)
    poisoned.now += timedelta(seconds=1)
    poisoned.store.retries.retry([poisoned.job(1)], reason="mended", at=poisoned.now)
    crash_and_restart(poisoned)
    poisoned.script = b.create
    poisoned.round(1)
    assert poisoned.status(1) is JobStatus.QUEUED_FOR_START


def test_who_stops_the_run_while_the_callback_runs_poisons_no_row(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def script(bench, job, gateway, watcher):
        raise KeyboardInterrupt

    bench.script = script
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            bench.round(1)
        assert bench.status() is JobStatus.NOT_STARTED
        bench.restart()
    bench.script = b.create
    bench.round(1)
    assert bench.status() is JobStatus.QUEUED_FOR_START


def test_what_was_sent_before_a_stop_is_found_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher)
        raise KeyboardInterrupt

    bench.script = script
    with pytest.raises(KeyboardInterrupt):
        bench.round(1)
    assert bench.status() is JobStatus.SUBMITTING
    bench.restart()
    bench.round(1)
    assert bench.gateway.batch_jobs["north-1"].starts == 1
