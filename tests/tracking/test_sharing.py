"""Two runs on one database: who acts on what, and what becomes of a run that wakes late."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from bench import Bench, Crash, create, die_on_the_wire, never_arrive

from openeo_jobs.jobs import Job
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop, poller, starter
from openeo_jobs.tracking.owners import find_others
from openeo_jobs.tracking.pool import Done

LEASE = 120.0
LEASE_LENGTH = timedelta(seconds=LEASE)


def share(folder: Path, **settings: object) -> tuple[Bench, Bench]:
    """Let two runs have two rows each, all running."""
    first = Bench(folder, rows=4, cap=2, lease=LEASE, **settings)
    first.round()
    second = first.join(cap=4)
    second.round()
    for batch_job in first.gateway.batch_jobs.values():
        batch_job.status = JobStatus.RUNNING
    first.round(10)
    second.round(10)
    assert owners(first) == [first.run.runner_id] * 2 + [second.run.runner_id] * 2
    return first, second


def owners(bench: Bench) -> list[int | None]:
    return [job.owner_id for job in bench.store.jobs.all()]


def let_lease_pass(bench: Bench) -> None:
    """Let only this run do rounds until the other one counts as dead."""
    for _ in range(8):
        bench.round(LEASE * 0.2)


def finish_all(bench: Bench) -> None:
    for batch_job in bench.gateway.batch_jobs.values():
        batch_job.status = JobStatus.FINISHED


def create_and_stop(bench: Bench, *call: object) -> object:
    """Create a batch job that is not started, because the run is told to stop."""
    bench.run.stopping.set()
    return create(bench, *call)


def test_each_run_asks_only_for_its_own_rows(tmp_path: Path) -> None:
    first, second = share(tmp_path)
    for bench in (first, second):
        first.gateway.calls.clear()
        bench.round(10)
        asked = {call[1] for call in first.gateway.calls if call[0] == "get_batch_job"}
        assert asked == {
            job.batch_job_id for job in bench.store.jobs.all() if job.owner_id == bench.run.runner_id
        }


def test_a_run_that_is_heard_of_keeps_its_rows(tmp_path: Path) -> None:
    first, second = share(tmp_path)
    before = owners(first)
    for _ in range(5):
        first.round(LEASE * 0.9)
        second.round(LEASE * 0.9)
        assert owners(first) == before


def test_rows_of_a_silent_run_go_to_the_other_in_the_middle_of_its_run(tmp_path: Path, caplog) -> None:
    _, second = share(tmp_path)
    let_lease_pass(second)
    assert owners(second) == [second.run.runner_id] * 4
    assert "python x.py (pid 1 on here) is not there any more" in caplog.text


def test_files_are_looked_for_again_when_rows_of_another_run_come(tmp_path: Path) -> None:
    _, second = share(tmp_path)
    second.run.has_checked_files = True
    second.round(1)
    assert second.run.has_checked_files
    let_lease_pass(second)
    assert not second.run.has_checked_files


def test_a_run_that_ends_in_order_leaves_its_rows_to_the_other_at_once(tmp_path: Path) -> None:
    first, second = share(tmp_path)
    first.run.presence.end()
    second.round(1)
    assert owners(second) == [second.run.runner_id] * 4


def test_a_run_that_wakes_late_goes_on_with_other_rows(tmp_path: Path, caplog) -> None:
    first, second = share(tmp_path)
    old = first.run.runner_id
    let_lease_pass(second)
    finish_all(second)
    first.round()
    assert first.run.runner_id != old
    assert "this run was taken for dead" in caplog.text
    assert owners(first) == [second.run.runner_id] * 4
    second.run.presence.end()
    for _ in range(3):
        first.round(1)
    assert [job.status for job in first.store.jobs.all()] == [JobStatus.FINISHED] * 4
    assert not loop.work_left(first.run)


def test_a_run_that_wakes_late_and_was_not_replaced_keeps_its_rows(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, lease=LEASE)
    bench.round()
    old = bench.run.runner_id
    bench.round(LEASE * 100)
    assert (bench.run.runner_id, owners(bench)) == (old, [old, old])


def test_what_a_stale_run_was_told_is_not_recorded(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    first, second = share(tmp_path)
    job = first.job(1)
    let_lease_pass(second)
    before = first.job(1)
    first.gateway.batch_jobs[str(job.batch_job_id)].status = JobStatus.FINISHED
    seen = first.gateway.get_batch_job(str(job.batch_job_id))
    loop.record(
        first.run, [Done(kind="poll", lane="north", subject=job, value=poller.Answer(seen, first.now))]
    )
    assert first.job(1) == before
    assert "row 1 has moved" in caplog.text


def test_a_request_does_not_leave_where_the_row_was_taken_over(tmp_path: Path) -> None:
    first = Bench(tmp_path, rows=1, lease=LEASE)
    second = first.join()

    def wake_late(bench: Bench, *call: object) -> object:
        first.script = create
        let_lease_pass(second)
        assert second.job().owner_id == second.run.runner_id
        return create(bench, *call)

    first.script, second.script = wake_late, create
    first.round()
    (batch_job,) = first.gateway.batch_jobs.values()
    assert (first.job().batch_job_id, batch_job.starts) == (batch_job.batch_job_id, 1)
    assert first.job().owner_id == second.run.runner_id


def test_a_start_that_waited_to_be_sent_is_not_sent_for_another(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    first = Bench(tmp_path, rows=1, lease=LEASE)
    first.script = create_and_stop
    first.round()
    job = first.store.progress.begin_start(first.job(), at=first.now)
    second = first.join()
    is_ours = partial(first.store.owners.holds, job)
    assert is_ours()
    let_lease_pass(second)
    for send in (starter._start_fresh, starter._look_and_start):
        outcome = send(first.gateway, str(job.batch_job_id), is_ours=is_ours)
        assert not outcome.was_sent
        starter.record(first.run, [Done(kind="start", lane="north", subject=job, value=outcome)])
    assert first.count("start") == 0
    assert caplog.text.count("its start is not sent") == 2


def test_a_hook_is_not_called_for_a_row_that_was_taken_over_meanwhile(tmp_path: Path) -> None:
    first = Bench(tmp_path, rows=2, lease=LEASE)
    first.round()
    second = first.join()
    first.hooks[JobStatus.FINISHED] = lambda job: let_lease_pass(second)
    second.hooks[JobStatus.FINISHED] = lambda job: None
    finish_all(first)
    first.round(10)
    assert first.hook_calls == [(1, JobStatus.FINISHED)]
    assert sorted(second.hook_calls) == [(1, JobStatus.FINISHED), (2, JobStatus.FINISHED)]
    assert owners(first) == [second.run.runner_id] * 2


def test_an_unknown_creation_of_a_dead_run_is_settled_by_the_other(tmp_path: Path) -> None:
    first = Bench(tmp_path, rows=1, lease=LEASE)
    second = first.join()
    first.script = die_on_the_wire
    with pytest.raises(Crash):
        first.round()
    let_lease_pass(second)
    second.round(10)
    (batch_job,) = first.gateway.batch_jobs
    assert second.job().batch_job_id == batch_job
    assert first.gateway.batch_jobs[batch_job].starts == 1


def test_a_run_waits_for_the_rows_of_the_other_and_both_end(tmp_path: Path) -> None:
    first, second = share(tmp_path, downloads_results=False)
    for number, job in enumerate(first.store.jobs.all()):
        if number < 2:
            first.gateway.batch_jobs[str(job.batch_job_id)].status = JobStatus.FINISHED
    first.round(10)
    assert loop.work_left(first.run).active == 2
    finish_all(second)
    second.round(10)
    assert not loop.work_left(first.run)
    assert not loop.work_left(second.run)


def test_a_row_that_failed_is_retried_by_one_of_them(tmp_path: Path) -> None:
    first, second = share(tmp_path, max_attempts={"remote error": 2})
    for batch_job in first.gateway.batch_jobs.values():
        batch_job.status = JobStatus.ERROR
    for _ in range(2):
        first.round(10)
        second.round(10)
    for number in range(1, 5):
        history = [change.new for change in first.store.jobs.history(number)]
        assert history.count(JobStatus.NOT_STARTED) == 1


# Who is silent


def is_said_dead(caplog: pytest.LogCaptureFixture) -> bool:
    return "not there any more" in caplog.text or "taken for dead" in caplog.text


@pytest.mark.parametrize("skew", [-10 * LEASE, -1.5 * LEASE, 1.5 * LEASE, 10 * LEASE])
def test_clocks_that_differ_make_nobody_dead(tmp_path: Path, caplog, skew: float) -> None:
    first = Bench(tmp_path, rows=4, cap=2, lease=LEASE)
    first.round()
    second = first.join(cap=4, skew=skew)
    before = owners(first)
    for _ in range(10):
        second.round(LEASE * 0.2)
        first.round(LEASE * 0.2)
        assert owners(first)[:2] == before[:2]
    assert not is_said_dead(caplog)


@pytest.mark.parametrize("skew", [-10 * LEASE, 10 * LEASE])
def test_a_run_that_is_silent_is_noticed_by_one_whose_clock_differs(tmp_path: Path, skew: float) -> None:
    first = Bench(tmp_path, rows=4, cap=2, lease=LEASE)
    first.round()
    second = first.join(cap=4, skew=skew)
    for _ in range(5):
        second.round(LEASE * 0.2)
    assert owners(second)[:2] == [first.run.runner_id] * 2
    second.round(LEASE * 0.2)
    second.round(LEASE * 0.2)
    assert owners(second) == [second.run.runner_id] * 4


def test_a_database_that_nobody_could_write_to_makes_nobody_dead(tmp_path: Path, caplog) -> None:
    first, second = share(tmp_path)
    before = owners(first)
    for _ in range(40):
        second.now += LEASE_LENGTH / 4
        second.run.now()  # as the heartbeat reads it before it waits for the database
    second.round()
    assert owners(second) == before
    first.round()
    assert not is_said_dead(caplog)


@pytest.mark.parametrize(("its_own", "of_the_other"), [(LEASE, 10 * LEASE), (10 * LEASE, LEASE)])
def test_a_run_is_given_its_own_lease(tmp_path: Path, its_own: float, of_the_other: float) -> None:
    first = Bench(tmp_path, rows=4, cap=2, lease=its_own)
    first.round()
    second = first.join(cap=4, lease=of_the_other)
    for share_of_lease in (0.2, 0.4, 0.6, 0.8, 1.0):
        second.round(its_own * 0.2)
        assert owners(second)[:2] == [first.run.runner_id] * 2, share_of_lease
    second.round(its_own * 0.2)
    second.round(its_own * 0.2)
    assert owners(second) == [second.run.runner_id] * 4


def test_a_run_that_seems_silent_at_first_sight_is_given_a_lease_and_that_is_told_once(
    tmp_path: Path, caplog
) -> None:
    first = Bench(tmp_path, rows=4, cap=2, lease=LEASE)
    first.round()
    first.now += LEASE_LENGTH * 100
    second = first.join(cap=4)
    second.round()
    second.round(1)
    told = (
        "python x.py (pid 1 on here) was last heard of 3 h 20 min ago; its rows are taken over if it is not"
    )
    assert caplog.text.count(told) == 1
    assert find_others(second.run) == []
    first.round(1)
    second.round(1)
    assert [one.id for one in find_others(second.run)] == [first.run.runner_id]


# Coming back after a gap


def test_nothing_is_decided_from_the_time_that_was_slept_before_a_backend_was_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1, lease=LEASE, poll_sleep=10)
    bench.script = never_arrive
    bench.round()
    bench.script = create
    for _ in range(2):
        bench.round(55)
    ((_, (post,)),) = bench.store.creations.unresolved(bench.run.runner_id)
    assert post.absent_since is not None
    bench.round(LEASE * 100)
    assert bench.status() is JobStatus.SUBMITTING
    bench.round(10)
    assert bench.status() is not JobStatus.SUBMITTING


def test_a_silent_backend_keeps_its_time_from_counting(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1, backends=("north", "south"), lease=LEASE)
    bench.run.unheard = {"north", "south"}
    bench.round()
    assert bench.run.unheard == set()
    bench.now += bench.run.settings.lease * 2
    assert not bench.run.counts_time("north")
    assert bench.run.unheard == {"north", "south"}


def test_a_row_is_not_overdue_because_the_machine_slept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1, lease=LEASE, cancel_running_after=LEASE_LENGTH)
    bench.round()
    finish = next(iter(bench.gateway.batch_jobs.values()))
    finish.status = JobStatus.RUNNING
    bench.round(10)
    bench.round(LEASE * 100)
    assert bench.count("stop") == 0
    bench.round(10)
    assert bench.count("stop") == 1


def test_one_that_comes_back_gives_the_others_a_lease_to_be_heard_of(tmp_path: Path) -> None:
    first, second = share(tmp_path)
    before = owners(first)
    second.round(LEASE * 100)
    assert owners(second) == before
    first.round()
    second.round(LEASE * 0.9)
    assert owners(second) == before


def test_what_has_changed_meanwhile_is_told_in_one_line(tmp_path: Path, caplog) -> None:
    first, _ = share(tmp_path)
    first.gateway.batch_jobs["north-1"].status = JobStatus.FINISHED
    first.gateway.batch_jobs["north-2"].status = JobStatus.ERROR
    first.round(7 * 3600 + 12 * 60)
    first.round(10)
    told = [record.getMessage() for record in caplog.records if "back after" in record.getMessage()]
    assert told == ["back after 7 h 12 min: 1 row finished, 1 error, 2 running"]


def test_a_start_that_takes_long_is_no_gap_while_the_clock_is_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1, lease=LEASE)

    def take_ten_minutes(bench: Bench, job: Job, *call: object) -> object:
        for _ in range(20):
            bench.now += LEASE_LENGTH / 4
            bench.run.presence.beat()
        return create(bench, job, *call)

    bench.script = take_ten_minutes
    bench.round()
    assert bench.run.presence.clock.take_gap() is None
    (runner,) = bench.store.runners.open()
    assert runner.heartbeat_at == bench.now
