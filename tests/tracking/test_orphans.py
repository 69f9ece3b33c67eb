"""Batch jobs with a tag of this campaign that no row waits for: noticed, reported, never started."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import AdoptionError, BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Outcome
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop
from openeo_jobs.tracking.user_code import Returned

ODD = BackendRefusedError("[501] FeatureUnsupported", http_status=501)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def restore_backup(bench: Bench, *, rounds: int = 1) -> None:
    """Take a copy, go on for some rounds, and put the copy back."""
    path = bench.folder / "jobs.sqlite"
    bench.store.close()
    shutil.copy(path, path.with_suffix(".bak"))
    bench.restart()
    for _ in range(rounds):
        bench.round(60)
    bench.close()
    shutil.copy(path.with_suffix(".bak"), path)
    bench.restart()


def orphan_ids(bench: Bench) -> list[tuple[int, str]]:
    return [(one.row, one.batch_job_id) for one in bench.store.orphans.open()]


def adopt(bench: Bench, row: int, batch_job_id: str) -> None:
    bench.store.adoptions.adopt(
        bench.job(row), backend_name="north", batch_job_id=batch_job_id, reason="by anna", at=bench.now
    )


def test_a_row_that_a_restored_backup_has_forgotten_is_not_run_again(bench: Bench) -> None:
    restore_backup(bench)
    for _ in range(3):
        bench.round(200)
    job = bench.job()
    assert job.status is JobStatus.NOT_STARTED
    assert "a batch job has its tag" in str(job.needs_person_reason)
    assert len(bench.gateway.batch_jobs) == 1
    assert orphan_ids(bench) == [(1, "north-1")]
    assert not loop.work_left(bench.run)


def test_other_rows_of_a_restored_backup_go_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=3, cap=1)
    restore_backup(bench)
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.round(60)
    assert [bench.status(n) for n in (1, 2)] == [JobStatus.NOT_STARTED, JobStatus.QUEUED_FOR_START]


def test_the_batch_job_of_a_row_that_was_forgotten_can_be_adopted(bench: Bench) -> None:
    restore_backup(bench)
    bench.round(60)
    adopt(bench, 1, "north-1")
    assert bench.status() is JobStatus.SUBMITTING
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.round(60)
    assert bench.status() is JobStatus.FINISHED
    assert bench.gateway.batch_jobs["north-1"].starts == 1
    assert bench.job().needs_person_since is None
    assert orphan_ids(bench) == []
    history = [(change.new.value, change.actor) for change in bench.store.jobs.history(1)]
    assert history == [("submitting", "user"), ("finished", "tracker")]


def test_an_adopted_batch_job_that_was_never_started_is_started_once(bench: Bench) -> None:
    path = bench.folder / "jobs.sqlite"
    bench.store.close()
    shutil.copy(path, path.with_suffix(".bak"))
    bench.restart()
    bench.script = b.die_before_the_return
    with pytest.raises(b.Crash):
        bench.round()
    bench.close()
    shutil.copy(path.with_suffix(".bak"), path)
    bench.restart()
    bench.round(60)
    adopt(bench, 1, "north-1")
    bench.round(60)
    bench.round(60)
    assert bench.gateway.batch_jobs["north-1"].starts == 1
    assert len(bench.gateway.batch_jobs) == 1


def test_a_forgotten_batch_job_that_is_declared_foreign_stops_its_row_no_longer(bench: Bench) -> None:
    restore_backup(bench)
    bench.round(60)
    assert bench.store.retries.retry([bench.job()], reason="by anna", at=bench.now) == 1
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert bench.job().batch_job_id == "north-2"
    assert bench.job().attempt.number == 2
    assert orphan_ids(bench) == []


def test_nothing_is_created_on_a_backend_before_it_was_listed(bench: Bench) -> None:
    restore_backup(bench)
    bench.gateway.fail_next("list_batch_jobs", BackendUnavailableError("[500]", http_status=500), times=2)
    bench.round(60)
    assert (bench.status(), len(bench.gateway.batch_jobs)) == (JobStatus.NOT_STARTED, 1)
    for _ in range(3):
        bench.round(60)
    assert bench.job().needs_person_since is not None
    assert len(bench.gateway.batch_jobs) == 1


def test_a_campaign_that_this_run_has_begun_waits_for_no_complete_listing(bench: Bench) -> None:
    """No backup of it can have been restored: nothing was forgotten."""
    hide_part(bench, is_missing=True)
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START


def begin_again(bench: Bench) -> None:
    """Let another run go on with the campaign, later."""
    bench.now += timedelta(hours=1)
    bench.restart()


def test_a_backend_without_a_listing_is_submitted_to_in_the_end(bench: Bench, caplog) -> None:
    begin_again(bench)
    bench.gateway.fail_next("list_batch_jobs", ODD, times=9)
    for _ in range(3):
        bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert "north gives no complete listing" in caplog.text


def hide_part(bench: Bench, *, is_missing: bool) -> None:
    """Let the listing be incomplete, and what was created before be in the part that it lacks."""
    ask = bench.gateway.list_batch_jobs
    for one in bench.gateway.batch_jobs.values():
        one.is_listed, one.status = False, "finished"
    bench.gateway.list_batch_jobs = lambda: replace(ask(), is_complete=False, is_part_missing=is_missing)


def test_nothing_is_created_on_a_federation_of_which_a_part_is_missing_in_the_first_listing(
    bench: Bench, caplog
) -> None:
    """Of a restored backup, what was computed there would be computed again."""
    restore_backup(bench)
    hide_part(bench, is_missing=True)
    for _ in range(9):
        bench.round(190)
    assert bench.count_creations() == {1: 1}
    assert caplog.text.count("a part of it is missing in its listing; nothing new is created there") == 1
    del bench.gateway.list_batch_jobs
    bench.gateway.batch_jobs["north-1"].is_listed = True
    bench.round(60)
    assert "a batch job has its tag" in str(bench.job().needs_person_reason)


def test_a_part_that_is_away_for_long_is_waited_for_no_longer(bench: Bench, caplog) -> None:
    begin_again(bench)
    hide_part(bench, is_missing=True)
    bench.round(60)
    bench.round(1800)
    assert bench.status() is JobStatus.NOT_STARTED
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert "may not be noticed" in caplog.text


def test_an_incomplete_first_listing_is_asked_for_again_and_taken_in_the_end(bench: Bench, caplog) -> None:
    begin_again(bench)
    bench.gateway.is_listing_complete = False
    bench.round(60)
    bench.round(60)
    assert bench.status() is JobStatus.NOT_STARTED
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert "north gives no complete listing" in caplog.text


def test_a_copy_of_the_campaign_runs_no_row_of_the_other_again(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    copy = Bench(tmp_path / "copy")
    copy.close()
    shutil.copy(bench.store.path, copy.folder / "jobs.sqlite")
    bench.round()
    copy.restart()
    copy.gateways = bench.gateways
    copy.gateway = bench.gateway
    copy.round(60)
    copy.round(60)
    assert len(bench.gateway.batch_jobs) == 1
    assert copy.job().needs_person_since is not None


def test_the_tag_of_another_campaign_is_nobodys_business(bench: Bench) -> None:
    bench.gateway.create("tile [oj-zzzzzz-1-abcde]")
    bench.round()
    assert orphan_ids(bench) == []
    assert bench.status() is JobStatus.QUEUED_FOR_START


def test_a_tag_of_a_row_that_the_campaign_does_not_have_is_told_once(bench: Bench, caplog) -> None:
    bench.gateway.create("tile [oj-abcdef-zz-abcde]")
    bench.round()
    bench.restart()
    bench.round()
    assert caplog.text.count("are of rows that it does not have (north-1, ...)") == 2  # once in each run
    assert orphan_ids(bench) == []


def test_a_batch_job_that_is_listed_later_than_the_grace_is_an_orphan(bench: Bench, caplog) -> None:
    """P4: the duplicate that this can make is inert, is found, and is reported."""
    bench.script = b.lose_the_answer
    bench.round()
    bench.gateway.batch_jobs["north-1"].is_listed = False
    bench.round(121)
    bench.round(1)
    bench.script = b.create
    bench.round(61)
    assert bench.job().batch_job_id == "north-2"
    bench.gateway.batch_jobs["north-1"].is_listed = True
    bench.restart()
    bench.round(60)
    assert orphan_ids(bench) == [(1, "north-1")]
    assert [one.starts for one in bench.gateway.batch_jobs.values()] == [0, 1]
    loop.tell_left_behind(bench.run)
    assert "orphans, batch jobs that no row uses: 1; see: openeo-jobs orphans" in caplog.text


def swallow(bench: Bench, job, gateway, watcher) -> Returned:
    """Lose an answer, try again, and return the second batch job, as some callbacks do."""
    b.post(bench, job, gateway, watcher, outcome=Outcome.UNKNOWN)
    return b.create(bench, job, gateway, watcher)


def test_a_lost_answer_that_start_job_swallowed_is_found_as_an_orphan(bench: Bench) -> None:
    bench.script = swallow
    bench.round()
    bench.round(60)
    assert bench.job().batch_job_id == "north-2"
    assert orphan_ids(bench) == [(1, "north-1")]
    assert [one.starts for one in bench.gateway.batch_jobs.values()] == [0, 1]


def test_a_swallowed_request_that_created_nothing_is_proved_so(bench: Bench) -> None:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher, outcome=Outcome.UNKNOWN, arrives=False)
        return b.create(bench, job, gateway, watcher)

    bench.script = script
    bench.round()
    for _ in range(3):
        bench.round(130)
    assert bench.store.orphans.loose(bench.run.runner_id) == []
    assert orphan_ids(bench) == []


def test_what_a_failed_callback_left_is_an_orphan(bench: Bench) -> None:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher)
        raise KeyError("west")

    bench.script = script
    bench.round()
    assert orphan_ids(bench) == [(1, "north-1")]
    adopt(bench, 1, "north-1")
    bench.round(60)
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED
    assert bench.job().attempt.failure is None
    assert bench.job().attempt.number == 1
    assert orphan_ids(bench) == []


def test_of_several_batch_jobs_one_is_adopted_and_the_others_are_orphans(bench: Bench) -> None:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher)
        b.post(bench, job, gateway, watcher)
        raise b.Crash

    bench.script = script
    with pytest.raises(b.Crash):
        bench.round()
    bench.restart()
    bench.round()
    assert orphan_ids(bench) == [(1, "north-1"), (1, "north-2")]
    adopt(bench, 1, "north-2")
    bench.round(60)
    assert [one.starts for one in bench.gateway.batch_jobs.values()] == [0, 1]
    assert orphan_ids(bench) == [(1, "north-1")]


def test_a_batch_job_that_is_being_created_is_no_orphan(bench: Bench) -> None:
    seen = []

    def script(bench, job, gateway, watcher):
        returned = b.create(bench, job, gateway, watcher)
        seen.append(orphan_ids(bench))
        return returned

    bench.script = script
    bench.round()
    assert seen == [[]]


def test_a_row_that_is_under_way_adopts_nothing(bench: Bench) -> None:
    bench.round()
    bench.gateway.create("other")
    with pytest.raises(AdoptionError, match="row 1 is queued_for_start"):
        adopt(bench, 1, "north-2")


def test_a_batch_job_belongs_to_one_row_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, cap=1)
    bench.round()
    with pytest.raises(AdoptionError, match="is that of row 1 already"):
        adopt(bench, 2, "north-1")


def test_a_row_that_was_retried_automatically_is_stopped_by_a_forgotten_batch_job(bench: Bench) -> None:
    bench.round()
    bench.gateway.create("tile [oj-abcdef-1-zzzzz]", status="running")
    bench.gateway.batch_jobs["north-1"].status = "error"
    bench.restart()
    bench.round(60)
    bench.store.failures.retry(bench.job(), reason="again", at=bench.now, not_before=bench.now)
    bench.round(60)
    assert bench.job().needs_person_since is not None
    assert len(bench.gateway.batch_jobs) == 2


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="openeo_jobs")


def test_a_row_whose_forgotten_batch_job_is_disowned_waits_for_a_slot_again(bench: Bench) -> None:
    restore_backup(bench)
    bench.round(60)
    bench.store.orphans.disown(bench.store.orphans.open(), at=bench.now)
    bench.round(60)
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert bench.job().batch_job_id == "north-2"


def test_what_becomes_of_an_orphan_is_stored_as_listings_tell_it(bench: Bench) -> None:
    restore_backup(bench)
    bench.round(60)
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.restart()
    bench.round(60)
    assert [one.seen_status for one in bench.store.orphans.open()] == ["finished"]
