"""Which batch jobs may be deleted on their backends, and which never."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from openeo_jobs.errors import BackendError, BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Outcome
from openeo_jobs.policy.removal import (
    LONGEST_PAUSE,
    PAUSES,
    Kept,
    Kind,
    Leftover,
    Use,
    find_foreignness,
    find_objection,
    find_pause,
    is_hidden,
)
from openeo_jobs.status import ACTIVE, FINAL, STARTED, JobStatus

UID = "abcdef123456"
FINISHED = Use(
    row=1,
    status=JobStatus.FINISHED,
    results_status="downloaded",
    owner_id=3,
    is_current=True,
    is_open=False,
    attempt_id=7,
    backend_status="finished",
)
OLD = replace(FINISHED, is_current=False, attempt_id=6, backend_status="error", has_failed=True)
LOOSE = replace(FINISHED, is_current=False, attempt_id=None, backend_status=None)


def make(*uses: Use, **overrides: Any) -> Leftover:
    values: dict[str, Any] = {
        "id": 1,
        "backend_name": "north",
        "batch_job_id": "north-1",
        "outcome": Outcome.CREATED,
        "accounts": frozenset(),
        "is_inert": True,
    }
    return Leftover(uses=uses, **{**values, **overrides})


def judge(one: Leftover, *, keep_failed: bool = False, word: str | None = None) -> Kept | None:
    return find_objection(one, alive={9}, keep_failed=keep_failed, word=word)


def test_a_complete_row_a_superseded_attempt_and_an_orphan_may_go() -> None:
    for use, kind in ((FINISHED, Kind.VERIFIED), (OLD, Kind.SUPERSEDED), (LOOSE, Kind.ORPHAN)):
        assert make(use).kind is kind
        assert judge(make(use)) is None


@pytest.mark.parametrize("use", [FINISHED, OLD, LOOSE])
def test_nothing_goes_of_a_row_that_is_under_way_or_owned_by_who_is_alive(use: Use) -> None:
    assert {judge(make(replace(use, status=status))) for status in ACTIVE} == {Kept.UNDER_WAY}
    assert judge(make(replace(use, owner_id=9))) is Kept.OWNED
    assert judge(make(use, replace(use, row=2, owner_id=9))) is Kept.OWNED


@pytest.mark.parametrize("use", [FINISHED, OLD, LOOSE])
def test_nothing_goes_that_is_on_its_way_on_its_backend(use: Use) -> None:
    assert judge(make(use), word="running") is Kept.ACTIVE
    assert judge(make(use), word="queued") is Kept.ACTIVE
    assert JobStatus.QUEUED_FOR_START in STARTED


@pytest.mark.parametrize("status", sorted((FINAL | {JobStatus.NOT_STARTED}) - {JobStatus.FINISHED}))
def test_the_latest_batch_job_of_a_row_that_is_not_complete_stays(status: JobStatus) -> None:
    assert judge(make(replace(FINISHED, status=status, results_status=None))) is Kept.INCOMPLETE


@pytest.mark.parametrize("results_status", ["pending", "downloading", "failed", None])
def test_a_row_without_its_results_is_not_complete(results_status: str | None) -> None:
    assert judge(make(replace(FINISHED, results_status=results_status))) is Kept.INCOMPLETE


def test_results_that_are_not_wanted_here_are_on_the_backend_alone() -> None:
    assert judge(make(replace(FINISHED, results_status="not_wanted"))) is Kept.ONLY_THERE


def test_a_hook_that_has_not_returned_may_need_the_batch_job() -> None:
    assert judge(make(replace(FINISHED, is_open=True))) is Kept.AWAITED


def test_what_several_rows_use_goes_once_all_of_them_are_complete() -> None:
    other = replace(FINISHED, row=2, attempt_id=8)
    assert judge(make(FINISHED, other)) is None
    assert make(FINISHED, other).verified_rows == (1, 2)
    assert judge(make(FINISHED, replace(other, status=JobStatus.ERROR))) is Kept.INCOMPLETE
    assert judge(make(OLD, replace(other, status=JobStatus.ERROR))) is Kept.INCOMPLETE


def test_an_attempt_that_chose_what_an_earlier_one_had_is_not_superseded() -> None:
    both = make(OLD, replace(FINISHED, results_status="failed"))
    assert both.kind is Kind.VERIFIED
    assert judge(both) is Kept.INCOMPLETE


def test_the_last_results_of_a_row_stay() -> None:
    finished = replace(OLD, status=JobStatus.ERROR, backend_status="finished", has_failed=False)
    assert judge(make(finished)) is Kept.LAST_RESULTS
    assert judge(make(replace(finished, backend_status=None)), word="finished") is Kept.LAST_RESULTS
    assert judge(make(replace(finished, status=JobStatus.FINISHED))) is None


def test_logs_of_failures_are_kept_where_that_is_wanted() -> None:
    assert judge(make(OLD), keep_failed=True) is Kept.FAILED
    unknown = replace(OLD, has_failed=False, backend_status=None)
    assert judge(make(unknown), keep_failed=True) is None
    assert judge(make(unknown), keep_failed=True, word="error") is Kept.FAILED


def test_orphans_that_were_started_or_nobody_knew_are_for_a_person() -> None:
    assert judge(make(LOOSE, is_inert=False)) is Kept.STARTED
    assert judge(make(LOOSE), word="finished") is Kept.STARTED
    assert judge(make(LOOSE), word="created") is None
    assert judge(make(LOOSE, is_stray=True)) is Kept.STRAY


@pytest.mark.parametrize("title", [None, "", "NDVI"])
def test_without_a_tag_the_stored_id_says_whose_it_is(title: str | None) -> None:
    for outcome in (Outcome.CREATED, Outcome.ADOPTED, Outcome.COPY):
        assert find_foreignness(make(FINISHED, outcome=outcome), title, UID) is None
    assert find_foreignness(make(FINISHED, outcome=Outcome.RETURNED), title, UID) is Kept.NOT_OURS


@pytest.mark.parametrize("outcome", [Outcome.CREATED, Outcome.RETURNED])
def test_a_tag_says_whose_it_is(outcome: Outcome) -> None:
    one = make(FINISHED, outcome=outcome)
    assert find_foreignness(one, "NDVI [oj-abcdef-1-x7q0z]", UID) is None
    assert find_foreignness(one, "NDVI [oj-zzzzzz-1-x7q0z]", UID) is Kept.OF_ANOTHER


def test_another_account_than_the_one_that_is_known_may_not_be_asked() -> None:
    assert is_hidden(make(FINISHED, accounts=frozenset({"xenia"})), "yvonne")
    assert is_hidden(make(FINISHED, accounts=frozenset({"xenia", "yvonne"})), "yvonne")
    assert not is_hidden(make(FINISHED, accounts=frozenset({"xenia"})), "xenia")
    assert not is_hidden(make(FINISHED, accounts=frozenset({"xenia"})), None)
    assert not is_hidden(make(FINISHED), "yvonne")


def busy(seconds: float | None) -> BackendError:
    error = BackendUnavailableError("[503] busy", http_status=503)
    error.retry_after = timedelta(seconds=seconds) if seconds is not None else None
    return error


def test_pauses_get_longer_and_are_never_shorter_than_asked_for() -> None:
    lengths = [find_pause(busy(None), vain=vain) for vain in range(PAUSES + 1)]
    assert [one and one.total_seconds() for one in lengths] == [1, 1, 2, 4, 8, 16, None]
    assert find_pause(busy(5), vain=1) == timedelta(seconds=5)
    assert find_pause(busy(3), vain=4) == timedelta(seconds=8)
    assert find_pause(busy(LONGEST_PAUSE.total_seconds() + 1), vain=0) is None


def test_no_pause_mends_a_login() -> None:
    assert find_pause(BackendRefusedError("[401]", http_status=401), vain=0) is None
