"""Create requests of unknown outcome: what a listing proves, and what it does not."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.jobs import BatchJob, Job, Listing, Outcome
from openeo_jobs.policy.orphans import Settlement
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop

OOPS = BackendUnavailableError("[500] oops", http_status=500)
AWAY = BackendUnavailableError("[503] maintenance", http_status=503)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def slow_down(bench: Bench, number: int, seconds: float) -> None:
    """Let the listing with this *number*, from now on, take so long: what it shows is of before."""
    ask, asked = bench.gateway.list_batch_jobs, []

    def list_batch_jobs() -> Listing:
        found = ask()
        asked.append(found)
        if len(asked) == number:
            bench.now += timedelta(seconds=seconds)
        return found

    bench.gateway.list_batch_jobs = list_batch_jobs


def lose(error: Exception, *, arrives: bool) -> b.Script:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher, arrives=arrives, outcome=Outcome.UNKNOWN)
        watcher.saw(gateway.name, error)
        raise error

    return script


def test_a_listing_proves_absence_as_of_when_it_was_asked_for(bench: Bench) -> None:
    """It may come in late: it has many pages, or `start_job` holds up the round."""
    bench.script = lose(OOPS, arrives=True)
    bench.round()
    bench.gateway.batch_jobs["north-1"].is_listed = False
    bench.script = b.create
    slow_down(bench, 2, 110)
    bench.round(10)
    bench.round(10)
    bench.gateway.batch_jobs["north-1"].is_listed = True
    bench.round(60)
    bench.round(60)
    assert bench.count_creations() == {1: 1}
    assert bench.job().batch_job_id == "north-1"


def test_a_listing_of_before_is_no_proof_that_a_batch_job_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, lost_after=100.0)
    lose_it = lose(OOPS, arrives=False)
    bench.script = lambda bench, job, *rest: (b.create if job.number == 1 else lose_it)(bench, job, *rest)
    bench.round()
    known = bench.gateway.batch_jobs["north-1"]
    known.is_found = known.is_listed = False
    for _ in range(3):
        bench.round(10)
    slow_down(bench, 1, 110)  # asked for because of the other row, before a 404 had lasted that long
    bench.round(10)
    assert bench.status() is JobStatus.QUEUED_FOR_START


LONG = 3700.0


@pytest.fixture
def lose_or_drop(request: pytest.FixtureRequest) -> b.Script:
    return b.lose_the_answer if request.param else b.never_arrive


@pytest.mark.parametrize("lose_or_drop", [True, False], ids=["created", "not created"], indirect=True)
def test_a_backend_that_is_gone_for_a_day_leaves_no_row_to_a_person(bench: Bench, lose_or_drop) -> None:
    """No listing is no evidence: the row waits for its backend, and the run for the row."""
    bench.script = lose_or_drop
    bench.round()
    bench.script = b.create
    for method in ("get_batch_job", "list_batch_jobs"):
        bench.gateway.fail_next(method, AWAY, times=10_000)
    for _ in range(24):
        bench.round(LONG)
    assert bench.status() is JobStatus.SUBMITTING
    assert bench.job().needs_person_since is None
    assert loop.work_left(bench.run)
    bench.gateway._failures.clear()
    for _ in range(4):
        bench.round(LONG)
    assert bench.status() is JobStatus.QUEUED
    assert bench.count_creations() == {1: 1}


@pytest.fixture
def waiting(bench: Bench) -> Bench:
    """A row that waits for a person: a part of a federation was away for too long to find out of itself."""
    bench.script = b.lose_the_answer
    bench.round()
    bench.script = b.create
    bench.gateway.is_listing_complete = bench.gateway.batch_jobs["north-1"].is_listed = False
    for _ in range(4):
        bench.round(700)
    assert "gave no complete listing" in str(bench.job().needs_person_reason)
    assert not loop.work_left(bench.run)
    return bench


@pytest.mark.parametrize("restarts", [False, True])
def test_a_row_that_a_listing_tells_of_after_all_waits_for_nobody(waiting: Bench, restarts: bool) -> None:
    waiting.gateway.is_listing_complete = waiting.gateway.batch_jobs["north-1"].is_listed = True
    if restarts:
        waiting.restart()
    waiting.round(LONG)
    assert waiting.job().needs_person_since is None
    assert waiting.job().batch_job_id == "north-1"
    assert waiting.store.orphans.open() == []
    assert waiting.count_creations() == {1: 1}


def test_a_row_that_is_proved_to_have_nothing_waits_for_nobody(waiting: Bench) -> None:
    del waiting.gateway.batch_jobs["north-1"]
    waiting.gateway.is_listing_complete = True
    waiting.round(LONG)
    assert waiting.job().needs_person_since is None
    assert waiting.status() is JobStatus.SUBMITTING
    for _ in range(3):
        waiting.round(60)
    assert waiting.job().batch_job_id == "north-2"


def test_for_rows_that_wait_for_a_person_a_listing_is_asked_for_now_and_then(waiting: Bench) -> None:
    asked = waiting.count("list_batch_jobs")
    for _ in range(60):
        waiting.round(60)
    assert waiting.count("list_batch_jobs") - asked == 2
    assert waiting.job().needs_person_since is not None


def test_a_backend_that_refuses_its_listing_leaves_the_row_to_a_person_and_the_run_may_end(bench) -> None:
    bench.script = b.lose_the_answer
    bench.round()
    bench.gateway.fail_next("list_batch_jobs", OOPS, times=10_000)
    for _ in range(8):
        bench.round(700)
    assert bench.job().needs_person_since is not None
    assert not loop.work_left(bench.run)


def test_what_was_away_for_long_is_not_held_against_the_first_listing_after_it(bench: Bench) -> None:
    bench.script = b.lose_the_answer
    bench.round()
    bench.gateway.fail_next("list_batch_jobs", AWAY, times=10_000)
    for _ in range(4):
        bench.round(LONG)
    bench.gateway._failures.clear()
    bench.gateway.is_listing_complete = bench.gateway.batch_jobs["north-1"].is_listed = False
    bench.round(LONG)
    bench.round(60)
    assert bench.job().needs_person_since is None


def test_a_person_may_decide_before_a_listing_does(waiting: Bench) -> None:
    waiting.store.retries.retry([waiting.job()], reason="by anna", at=waiting.now)
    waiting.round(60)
    assert waiting.job().batch_job_id == "north-2"
    waiting.gateway.is_listing_complete = waiting.gateway.batch_jobs["north-1"].is_listed = True
    waiting.round(LONG)
    assert waiting.job().batch_job_id == "north-2"
    assert [one.batch_job_id for one in waiting.store.orphans.open()] == ["north-1"]


def create_twice(bench: Bench, job, gateway, watcher) -> None:
    b.post(bench, job, gateway, watcher)
    b.post(bench, job, gateway, watcher)
    raise b.Crash


def test_a_row_with_several_batch_jobs_waits_until_a_person_decides_and_is_told_once(bench, caplog) -> None:
    bench.script = create_twice
    with pytest.raises(b.Crash):
        bench.round()
    bench.restart()
    for _ in range(4):
        bench.round(LONG)
    assert caplog.text.count("waits for a person") == 1
    assert bench.count("list_batch_jobs") == 2, "no listing can tell"


def test_a_row_of_whose_batch_jobs_a_person_deleted_all_but_one_goes_on_with_that(bench: Bench) -> None:
    bench.script = create_twice
    with pytest.raises(b.Crash):
        bench.round()
    bench.restart()
    bench.round(60)
    first, _ = bench.store.orphans.open()
    bench.gateway.delete(first.batch_job_id)
    bench.store.orphans.settle([first.id], Settlement.DELETED, at=bench.now)
    bench.round(60)
    bench.round(60)
    assert bench.job().needs_person_since is None
    assert bench.job().batch_job_id == "north-2"
    assert bench.gateway.batch_jobs["north-2"].starts == 1


def test_a_row_that_somebody_changes_while_a_listing_is_recorded_does_not_end_the_run(bench: Bench) -> None:
    def swallow(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher, outcome=Outcome.UNKNOWN)
        return b.create(bench, job, gateway, watcher)

    bench.script = swallow
    bench.round()
    read, reads = bench.store.orphans.loose, itertools.count(1)

    def read_and_change(runner_id: int) -> list[tuple[Job, BatchJob]]:
        found = read(runner_id)
        if next(reads) == 2:  # to record what is listed
            with bench.store._database.writing() as connection:
                connection.exec_driver_sql("UPDATE job SET status = 'canceled'")
        return found

    bench.store.orphans.loose = read_and_change
    bench.round(60)
    bench.store.orphans.loose = read
    bench.round(60)
    assert [one.batch_job_id for one in bench.store.orphans.open()] == ["north-1"]


def list_untitled(bench: Bench) -> None:
    """Let the listing show no titles with a tag; asked for one by one, batch jobs still have them."""
    ask = bench.gateway.list_batch_jobs

    def list_batch_jobs() -> Listing:
        seen = ask().batch_jobs
        cut = [replace(one, title=None) if "[" in str(one.title) else one for one in seen]
        return Listing(batch_jobs=cut, is_complete=True)

    bench.gateway.list_batch_jobs = list_batch_jobs


@pytest.fixture
def untitled(tmp_path: Path) -> Bench:
    """Two rows are under way on a backend that lists no titles; then an answer is lost."""
    bench = Bench(tmp_path, rows=3, cap=2)
    list_untitled(bench)
    bench.round()
    bench.round(60)  # what is asked for one by one has its title
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.script = lose(OOPS, arrives=True)
    bench.round(60)
    return bench


def test_a_listing_without_titles_proves_nothing_whatever_batch_jobs_show_one_by_one(untitled: Bench) -> None:
    untitled.script = b.create
    for _ in range(4):
        untitled.round(130)
    assert untitled.count_creations() == {1: 1, 2: 1, 3: 1}
    assert "does not return the titles" in str(untitled.job(3).needs_person_reason)


def test_that_a_listing_shows_no_titles_is_remembered_when_it_has_nothing_of_ours(untitled: Bench) -> None:
    untitled.round(10)
    for one in ("north-1", "north-2", "north-3"):
        untitled.gateway.batch_jobs[one].is_listed = False
    untitled.gateway.create("somebody's")
    untitled.script = b.create
    untitled.restart()
    for _ in range(4):
        untitled.round(130)
    assert untitled.job(3).needs_person_since is not None


def test_a_backend_that_lists_titles_again_tells_after_all(untitled: Bench) -> None:
    untitled.script = b.create
    for _ in range(3):
        untitled.round(130)
    del untitled.gateway.list_batch_jobs
    untitled.round(LONG)
    assert untitled.job(3).batch_job_id == "north-3"


def test_titles_that_are_missing_one_by_one_are_no_matter_where_the_listing_has_them(tmp_path) -> None:
    bench = Bench(tmp_path, rows=2, cap=1)
    look = bench.gateway.get_batch_job
    bench.gateway.get_batch_job = lambda batch_job_id: replace(look(batch_job_id), title=None)
    bench.round()
    bench.round(60)
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.script = lose(OOPS, arrives=False)
    bench.round(60)
    bench.script = b.create
    for _ in range(5):
        bench.round(130)
    assert bench.job(2).batch_job_id == "north-2"
