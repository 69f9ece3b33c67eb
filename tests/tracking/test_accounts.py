"""Several accounts of one backend: nobody judges batch jobs that only others can see."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from bench import Bench, Crash, create, die_before_the_wire, die_on_the_wire, never_arrive, post

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import ErrorClass, Outcome
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop

EXPIRED = BackendRefusedError("[403] TokenInvalid: expired", http_status=403, code="TokenInvalid")
LONG = timedelta(hours=2).total_seconds()


def log_in(bench: Bench, account: str | None) -> None:
    bench.gateway = bench.gateways["north"] = bench.gateway.log_in_as(account)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Four rows: xenia has two of them under way, and her process has ended."""
    bench = Bench(tmp_path, rows=4, cap=2, downloads_results=False)
    log_in(bench, "xenia")
    bench.round()
    log_in(bench, "yvonne")
    bench.restart()
    return bench


def accounts(bench: Bench) -> list[str | None]:
    return [one.account for one in bench.gateway.batch_jobs.values()]


def end_all(bench: Bench) -> None:
    for batch_job in bench.gateway.batch_jobs.values():
        batch_job.status = JobStatus.FINISHED


def test_rows_of_another_account_are_neither_asked_for_nor_lost_nor_created_again(bench: Bench) -> None:
    for _ in range(6):
        bench.round(LONG)
    assert [bench.status(number) for number in (1, 2)] == [JobStatus.QUEUED_FOR_START] * 2
    asked = {call[1] for call in bench.gateway.calls if call[0] == "get_batch_job"}
    assert asked == {"north-3", "north-4"}
    assert bench.count_creations() == dict.fromkeys(range(1, 5), 1)
    assert accounts(bench) == ["xenia"] * 2 + ["yvonne"] * 2


def test_they_hold_no_slot_of_this_account(bench: Bench) -> None:
    bench.round()
    assert [bench.status(number) for number in (3, 4)] == [JobStatus.QUEUED_FOR_START] * 2


def test_a_run_ends_without_them_and_says_whose_they_are(bench: Bench, caplog) -> None:
    bench.round()
    end_all(bench)
    bench.round()
    assert not loop.work_left(bench.run)
    caplog.clear()
    loop.tell_left_behind(bench.run)
    assert [record.message for record in caplog.records] == [
        "2 rows wait for account xenia of north: nobody else sees their batch jobs; "
        "run the script logged in as that"
    ]


def test_they_go_on_when_their_account_is_back(bench: Bench) -> None:
    bench.round()
    end_all(bench)
    bench.round()
    log_in(bench, "xenia")
    bench.restart()
    bench.round()
    assert {bench.status(number) for number in range(1, 5)} == {JobStatus.FINISHED}
    assert bench.store.logins.stranded() == []


@pytest.mark.parametrize("account", [None, "xenia"])
def test_where_the_backend_does_not_tell_accounts_all_rows_are_within_reach(bench, account) -> None:
    log_in(bench, account)
    bench.restart()
    bench.round()
    assert {bench.job(number).owner_id for number in (1, 2)} == {bench.run.runner_id}


def test_a_creation_of_unknown_outcome_is_settled_by_its_own_account_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1)
    log_in(bench, "xenia")
    bench.script = die_on_the_wire
    with pytest.raises(Crash):
        bench.round()
    log_in(bench, "yvonne")
    bench.restart()
    for _ in range(4):
        bench.round(LONG)
    assert bench.status() is JobStatus.SUBMITTING
    assert len(bench.gateway.batch_jobs) == 1
    log_in(bench, "xenia")
    bench.restart()
    bench.round()
    assert bench.job().batch_job_id == "north-1"


def test_what_another_account_may_have_created_for_its_row_is_not_taken_for_absent(tmp_path) -> None:
    bench = Bench(tmp_path, rows=1, max_attempts={})
    log_in(bench, "xenia")
    bench.script = never_arrive
    bench.round()
    bench.gateway.is_listing_complete = False
    bench.round(LONG)
    bench.round(LONG)
    assert bench.job().needs_person_since is not None
    log_in(bench, "yvonne")
    bench.gateway.is_listing_complete = True
    for _ in range(3):
        bench.restart()  # a run lists every backend once
        bench.round(LONG)
    [(_, [post])] = bench.store.creations.unresolved(1)
    assert post.outcome is Outcome.UNKNOWN


def test_what_another_account_may_have_created_beside_a_row_is_not_taken_for_absent(tmp_path) -> None:
    bench = Bench(tmp_path, rows=1)
    log_in(bench, "xenia")

    def swallow(bench, job, gateway, watcher):
        post(bench, job, gateway, watcher, outcome=Outcome.UNKNOWN)
        return create(bench, job, gateway, watcher)

    bench.script = swallow
    bench.round()
    bench.gateway.batch_jobs["north-1"].is_listed = False
    log_in(bench, "yvonne")
    for _ in range(3):
        bench.restart()
        bench.round(LONG)
    assert [post.outcome for _, post in bench.store.orphans.loose(1)] == [Outcome.UNKNOWN]


def test_a_row_of_which_nothing_was_sent_is_anybodys(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1)
    log_in(bench, "xenia")
    bench.script = die_before_the_wire
    with pytest.raises(Crash):
        bench.round()
    log_in(bench, "yvonne")
    bench.script = lambda *call: None
    bench.restart()
    bench.round()
    assert bench.status() is JobStatus.SKIPPED


def test_the_account_is_asked_where_it_connects_and_rows_wait_until_it_is_known(bench: Bench) -> None:
    log_in(bench, "xenia")
    bench.restart()
    bench.gateway.fail_next("get_account", BackendUnavailableError("no answer in time"))
    bench.round()
    assert bench.job(1).owner_id != bench.run.runner_id
    assert bench.store.backends.one("north").paused_class is ErrorClass.TRANSIENT
    bench.round(LONG)
    assert bench.job(1).owner_id == bench.run.runner_id


def test_a_login_that_is_dead_when_it_is_asked_as_whom_is_renewed(bench: Bench, caplog) -> None:
    bench.gateway.fail_next("get_account", EXPIRED)
    bench.round()
    bench.round(1)
    assert bench.renewals == ["north"]
    assert [record.message for record in caplog.records if "paused" in record.message] == []
    assert bench.status(3) is JobStatus.QUEUED_FOR_START


def test_rows_are_let_go_where_a_run_is_logged_in_as_another_one(bench: Bench) -> None:
    bench.round()
    log_in(bench, "xenia")
    bench.gateway.fail_next("get_batch_job", EXPIRED, times=2)
    bench.round(60)
    bench.round(60)
    assert bench.renewals == ["north"]
    me = bench.run.runner_id
    assert [job.owner_id for job in bench.store.jobs.all()] == [me, me, None, None]


def test_a_run_that_was_taken_for_dead_is_still_logged_in(bench: Bench) -> None:
    bench.round()
    bench.store.runners.end(bench.run.runner_id, at=bench.now)
    bench.round()
    assert [bench.job(number).owner_id for number in (3, 4)] == [bench.run.runner_id] * 2
    assert bench.job(1).owner_id != bench.run.runner_id


def adopt(bench: Bench, number: int, batch_job_id: str, *, account: str | None = None) -> None:
    bench.store.adoptions.adopt(
        bench.job(number),
        backend_name="north",
        batch_job_id=batch_job_id,
        reason="by zoe",
        at=bench.now,
        account=account,
    )


@pytest.fixture
def by_hand(tmp_path: Path) -> Bench:
    """A row that was skipped, and a batch job that zoe has made for it; yvonne runs the campaign."""
    bench = Bench(tmp_path, rows=1)
    log_in(bench, "yvonne")
    bench.script = lambda *call: None
    bench.round()
    log_in(bench, "zoe")
    bench.gateway.create("by hand", status="running")
    log_in(bench, "yvonne")
    return bench


def test_a_batch_job_that_was_adopted_as_an_accounts_is_left_to_it(by_hand: Bench) -> None:
    adopt(by_hand, 1, "north-1", account="zoe")
    by_hand.restart()
    for _ in range(4):
        by_hand.round(LONG)
    assert by_hand.status() is JobStatus.SUBMITTING
    assert by_hand.job().needs_person_since is None
    assert "get_batch_job" not in {call[0] for call in by_hand.gateway.calls}
    log_in(by_hand, "zoe")
    by_hand.restart()
    by_hand.round()
    assert by_hand.status() is JobStatus.RUNNING


def test_one_that_nobody_knows_the_account_of_waits_for_a_person_where_there_are_several(by_hand) -> None:
    other = by_hand.join()
    other.gateway = by_hand.gateway.log_in_as("zoe")
    other.gateways = {"north": other.gateway}
    other.run.gateways.clear()
    other.round()  # zoe has a run, too; it does not reach the row, which yvonne's has taken
    adopt(by_hand, 1, "north-1")
    for _ in range(4):
        by_hand.round(LONG)
    assert by_hand.status() is JobStatus.SUBMITTING
    assert "does not show north-1 to this account" in str(by_hand.job().needs_person_reason)
    assert len(by_hand.gateway.batch_jobs) == 1, "a second batch job for a row that has one"


def test_one_that_nobody_knows_the_account_of_has_failed_where_there_is_only_one(by_hand) -> None:
    adopt(by_hand, 1, "no-such")
    for _ in range(4):
        by_hand.round(LONG)
    assert by_hand.status() is JobStatus.START_FAILED


def test_an_orphan_is_adopted_as_the_account_that_has_found_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1)
    log_in(bench, "xenia")
    bench.gateway.create(f"[oj-{bench.run.campaign.uid[:6]}-1-abcde]")
    bench.round()
    [orphan] = bench.store.orphans.open()
    assert orphan.account == "xenia"
    adopt(bench, 1, orphan.batch_job_id)
    log_in(bench, "yvonne")
    bench.restart()
    bench.round()
    assert bench.status() is JobStatus.SUBMITTING
    assert [(one.account, one.rows) for one in bench.store.logins.stranded()] == [("xenia", 1)]
