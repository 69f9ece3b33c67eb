"""What is about one account of a backend (its login, its credits, its limits) holds up no other account."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from bench import Bench

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import ErrorClass
from openeo_jobs.report.attention import list_needs
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.documents import make_status_document
from openeo_jobs.status import JobStatus

PAY = BackendRefusedError("[402] no credits", http_status=402, code="PaymentRequired")
EXPIRED = BackendRefusedError("[403] TokenInvalid: expired", http_status=403, code="TokenInvalid")
BUSY = BackendRefusedError("[429] slow down", http_status=429, retry_after=timedelta(seconds=5000))
FULL = BackendRefusedError("[400] the limit is reached", http_status=400, code="ConcurrentJobLimit")
AWAY = BackendUnavailableError("[503] busy", http_status=503)


def log_in(bench: Bench, account: str | None) -> None:
    bench.gateways = {"north": bench.gateway.log_in_as(account)}
    bench.gateway = bench.gateways["north"]


def begin(folder: Path, *accounts: str | None) -> list[Bench]:
    """Let two people run four rows, each with two slots; the first one has two rows under way."""
    first = Bench(folder, rows=4, cap=2, downloads_results=False)
    log_in(first, accounts[0])
    first.round()
    second = first.join()
    log_in(second, accounts[1])
    return [first, second]


def find_pause(bench: Bench) -> ErrorClass | None:
    return bench.run.find_backend("north").paused_class


def end_all(bench: Bench) -> None:
    for batch_job in bench.gateway.batch_jobs.values():
        batch_job.status = JobStatus.FINISHED


@pytest.mark.parametrize("error", [PAY, EXPIRED, BUSY], ids=str)
def test_a_pause_of_one_account_holds_up_no_other(tmp_path: Path, error: Exception) -> None:
    first, second = begin(tmp_path, "anna", "bert")
    first.run.pause("north", error)
    second.round(1)
    assert [second.status(number) for number in (3, 4)] == [JobStatus.QUEUED_FOR_START] * 2
    assert find_pause(second) is None
    assert find_pause(first) is not None, "the other one has ended this pause"


@pytest.mark.parametrize("error", [PAY, BUSY], ids=str)
def test_the_account_that_it_is_about_begins_nothing_until_it_is_over(tmp_path: Path, error) -> None:
    first, _ = begin(tmp_path, "anna", "bert")
    first.run.pause("north", error)
    end_all(first)
    first.round(1)
    assert [first.status(number) for number in (3, 4)] == [JobStatus.NOT_STARTED] * 2
    until = first.run.find_backend("north").retry_at
    assert until is not None
    first.now = until
    first.round(1)
    first.round(1)
    assert find_pause(first) is None
    assert JobStatus.NOT_STARTED not in [first.status(number) for number in (3, 4)]


def test_it_holds_for_another_process_of_the_same_account_and_after_a_restart(tmp_path: Path) -> None:
    first, second = begin(tmp_path, "anna", "anna")
    first.run.pause("north", BUSY)
    end_all(first)
    second.round(1)
    assert find_pause(second) is ErrorClass.LIMIT
    first.restart()
    first.round(1)
    assert find_pause(first) is ErrorClass.LIMIT
    assert [first.status(number) for number in (3, 4)] == [JobStatus.NOT_STARTED] * 2


@pytest.mark.parametrize("error", [PAY, BUSY], ids=str)
def test_where_the_account_is_not_known_it_is_for_all(tmp_path: Path, error: Exception) -> None:
    first, second = begin(tmp_path, None, "bert")
    first.run.pause("north", error)
    second.round(1)
    assert [second.status(number) for number in (3, 4)] == [JobStatus.NOT_STARTED] * 2


def test_one_that_is_away_is_so_for_all_and_the_pause_of_an_account_comes_after_that(tmp_path: Path) -> None:
    first, second = begin(tmp_path, "anna", "bert")
    second.round()
    first.run.pause("north", BUSY)
    second.run.pause("north", AWAY)
    assert (find_pause(first), find_pause(second)) == (ErrorClass.TRANSIENT, ErrorClass.TRANSIENT)
    second.store.backends.resume(second.run.find_backend("north"))
    assert (find_pause(first), find_pause(second)) == (ErrorClass.LIMIT, None)


def test_a_login_that_is_dead_from_the_beginning_holds_up_nobody_who_is_logged_in(tmp_path: Path) -> None:
    first, second = begin(tmp_path, "anna", "bert")
    second.round()
    third = first.join()
    log_in(third, "anna")
    for _ in range(3):
        third.gateway.fail_next("get_account", EXPIRED)
    third.round()
    assert find_pause(third) is ErrorClass.AUTH
    assert (find_pause(first), find_pause(second)) == (None, None)
    third.gateway._failures.clear()
    third.new_logins = {"north"}
    third.round(60)
    third.round(60)
    assert find_pause(third) is None
    assert third.store.backends.one("north").paused_class is None


def test_a_cap_is_learned_for_the_account_that_was_refused(tmp_path: Path) -> None:
    first, second = begin(tmp_path, "anna", "bert")
    second.round()
    first.run.learn_cap("north", FULL)
    assert first.run.find_backend("north").learned_cap == 2
    assert second.run.find_backend("north").learned_cap is None


def test_failures_in_a_row_are_an_accounts(tmp_path: Path) -> None:
    first, second = begin(tmp_path, "anna", "bert")
    second.round()
    first.run.pause("north", PAY)
    second.run.note_creation("north")
    assert second.run.find_backend("north").failures_in_a_row == 0
    assert first.run.find_backend("north").failures_in_a_row == 1
    first.store.backends.resume(first.run.find_backend("north"))
    first.run.note_creation("north")
    assert first.run.find_backend("north").failures_in_a_row == 0


@pytest.mark.parametrize(("other", "whose"), [("bert", " for account anna"), ("anna", "")])
def test_status_says_whose_pause_it_is_where_there_are_several_accounts(
    tmp_path: Path, other: str, whose: str
) -> None:
    first, second = begin(tmp_path, "anna", other)
    second.round()
    first.run.pause("north", PAY)
    overview = first.store.reports.overview()
    assert overview is not None
    needs = list_needs(overview, groups=9, commands=Commands("openeo-jobs"), now=first.now)
    assert f"north paused{whose} since" in needs[0]
    document = make_status_document(overview, database=first.store.path, alive=[])["backends"][0]
    pauses = [*document["paused_accounts"], *filter(None, [document["paused"]])]
    assert [(one["class"], one.get("account")) for one in pauses] == [("payment", "anna" if whose else None)]
