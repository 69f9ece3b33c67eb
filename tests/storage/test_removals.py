"""Batch jobs that are still on their backends, as the database knows them."""

from __future__ import annotations

from pathlib import Path

from storage_lifecycle import finish_one
from storage_tools import NOW, begin_runner, campaign_at, claim_one, create_one, make_tiles, reload, run_sql

from openeo_jobs.assets import Asset
from openeo_jobs.jobs import Job, Outcome
from openeo_jobs.policy.orphans import Settlement
from openeo_jobs.policy.removal import Kind
from openeo_jobs.storage.store import JobStore


def complete_one(store: JobStore, runner_id: int, batch_job_id: str) -> Job:
    job = finish_one(store, runner_id, batch_job_id)
    store.assets.record_downloaded(job, [Asset(name="a", path=Path(f"{job.number}/a"), size=3)], at=NOW)
    store.hooks.record_returned(job, at=NOW)
    return reload(store, job)


def test_each_is_told_with_every_row_that_uses_it(tmp_path: Path) -> None:
    with campaign_at(tmp_path / "jobs.sqlite", make_tiles(4)) as store:
        runner_id = begin_runner(store)
        complete_one(store, runner_id, "j-1")
        other = claim_one(store, runner_id)
        store.creations.choose(other, backend_name="north", batch_job_id="j-1", at=NOW)
        complete_one(store, runner_id, "j-3")
        first, second = store.removals.all()
        assert (first.batch_job_id, first.rows, first.verified_rows) == ("j-1", (1, 2), (1, 2))
        assert [use.is_open for use in first.uses] == [False, False]
        assert (second.batch_job_id, second.rows, second.kind) == ("j-3", (3,), Kind.VERIFIED)
        assert store.removals.one(first.id) == first


def test_a_later_attempt_supersedes_and_the_account_is_the_attempts(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with campaign_at(path, make_tiles(1)) as store:
        runner_id = begin_runner(store)
        store.logins.record(runner_id, "north", "xenia")
        job = complete_one(store, runner_id, "j-1")
        assert [one.kind for one in store.removals.all()] == [Kind.VERIFIED]
        store.retries.retry([job], reason="again", at=NOW)
        assert [one.kind for one in store.removals.all()] == [Kind.VERIFIED], "there is no later one yet"
        store.logins.record(runner_id, "north", "yvonne")
        create_one(store, runner_id, "j-2")
        old, new = store.removals.all()
        assert (old.batch_job_id, old.kind, old.accounts) == ("j-1", Kind.SUPERSEDED, {"xenia"})
        assert (new.batch_job_id, new.kind, new.accounts) == ("j-2", Kind.VERIFIED, {"yvonne"})


def test_what_start_job_had_from_elsewhere_and_did_not_return_is_not_told(tmp_path: Path) -> None:
    with campaign_at(tmp_path / "jobs.sqlite", make_tiles(1)) as store:
        job = claim_one(store, begin_runner(store))
        store.creations.record_start_sent(job, backend_name="north", batch_job_id="elsewhere", at=NOW)
        store.creations.skip(job, at=NOW)
        assert store.removals.all() == []


def test_an_orphan_is_told_with_the_row_it_was_created_for(tmp_path: Path) -> None:
    with campaign_at(tmp_path / "jobs.sqlite", make_tiles(1)) as store:
        job = claim_one(store, begin_runner(store))
        number = store.creations.record_intent(
            job, backend_name="north", fingerprint="f", tag="oj-c0ffee-1-x", at=NOW
        )
        store.creations.record_outcome(number, outcome=Outcome.CREATED, batch_job_id="j-1", at=NOW)
        assert store.removals.all() == [], "start_job has not returned yet"
        store.creations.skip(job, at=NOW)
        (one,) = store.removals.all()
        assert (one.kind, one.rows, one.is_inert, one.is_stray) == (Kind.ORPHAN, (1,), True, False)


def test_what_is_decided_is_told_no_more_and_deletions_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with campaign_at(path, make_tiles(2)) as store:
        runner_id = begin_runner(store)
        jobs = [complete_one(store, runner_id, one) for one in ("j-1", "j-2")]
        first, second = store.removals.all()
        store.removals.record_deleted(first.id, at=NOW)
        store.orphans.settle([second.id], Settlement.FOREIGN, at=NOW)
        assert store.removals.all() == []
        assert store.removals.one(first.id) is None
        assert store.orphans.open() == []
        times = [one.attempt and one.attempt.batch_job for one in (reload(store, job) for job in jobs)]
        assert [one and one.deleted_at for one in times] == [NOW, None]
        assert [row.deleted_at for row in store.complete.all()] == [NOW, None]
    settled = run_sql(path, "SELECT id, settled_as, settled_at FROM batch_jobs WHERE id = 'j-1'")
    assert settled == [("j-1", "deleted", "2024-01-31T12:00:00.000Z")]


def test_costs_of_what_was_deleted_are_asked_for_no_more(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with campaign_at(path, make_tiles(1)) as store:
        runner_id = begin_runner(store)
        job = complete_one(store, runner_id, "j-1")
        run_sql(path, "UPDATE attempt SET costs = NULL, costs_not_before = ended_at")
        late = NOW.replace(year=2025)
        assert len(store.costs.due(["north"], runner_id=runner_id, at=late, limit=9)) == 1
        store.removals.record_deleted(store.removals.all()[0].id, at=NOW)
        assert store.costs.due(["north"], runner_id=runner_id, at=late, limit=9) == []
        assert job.attempt is not None
        store.costs.record_last([job.attempt.id], 2.5, {})
        store.costs.record_last([job.attempt.id], 9.0, {})
    assert run_sql(path, "SELECT costs, costs_not_before FROM attempt") == [(2.5, None)]


def test_complete_rows_come_page_by_page_with_their_files(tmp_path: Path) -> None:
    with campaign_at(tmp_path / "jobs.sqlite", make_tiles(45)) as store:
        runner_id = begin_runner(store)
        for number in range(1, 44):
            complete_one(store, runner_id, f"j-{number}")
        create_one(store, runner_id, "j-44")
        rows = list(store.complete.all())
        assert [row.number for row in rows] == list(range(1, 44))
        assert store.complete.count() == 43
        assert all(len(row.assets) == 1 for row in rows)
        assert store.complete.one(43) == rows[-1]
        assert store.complete.one(44) is None
