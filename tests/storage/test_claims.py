"""Claims: caps, pins, order, who has to wait, and what holds a slot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from storage_tools import (
    FAILURE,
    NOW,
    begin_runner,
    campaign_at,
    claim_one,
    create_one,
    force_status,
    is_dead,
    make_new_job,
    make_runner,
    make_tiles,
    run_sql,
    seconds,
)

from openeo_jobs.jobs import Job
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tables import NewJob


def where(jobs: Sequence[Job]) -> list[tuple[int, str | None]]:
    return [(job.number, job.backend_name) for job in jobs]


def claims_of(path: Path, jobs: Sequence[NewJob], **caps: int) -> list[tuple[int, str | None]]:
    with campaign_at(path, jobs) as store:
        return where(store.claims.claim(runner_id=begin_runner(store), caps=caps, at=NOW))


def test_a_claim_gives_an_owner_an_attempt_and_a_status(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)

    assert job == store.jobs.one(1)
    assert (job.status, job.status_since, job.owner_id) == (JobStatus.SUBMITTING, NOW, runner_id)
    assert job.attempt is not None
    assert (job.attempt.number, job.attempt.backend_name, job.attempt.began_at) == (1, "north", NOW)


def test_claims_respect_the_caps(path: Path) -> None:
    claimed = claims_of(path, make_tiles(9), north=1, south=3)

    assert [name for _, name in claimed].count("north") == 1
    assert [name for _, name in claimed].count("south") == 3


def test_claims_respect_the_caps_over_several_calls(store: JobStore, runner_id: int) -> None:
    numbers = [
        len(store.claims.claim(runner_id=runner_id, caps={"north": 3}, at=NOW, limit=2)) for _ in range(3)
    ]

    assert numbers == [2, 1, 0]


@pytest.mark.parametrize("caps", [{}, {"north": 0}, {"north": -1}])
def test_nothing_is_claimed_without_a_cap(store: JobStore, runner_id: int, caps: dict[str, int]) -> None:
    assert store.claims.claim(runner_id=runner_id, caps=caps, at=NOW) == []


def test_a_limit_is_respected(store: JobStore, runner_id: int) -> None:
    claimed = store.claims.claim(runner_id=runner_id, caps={"north": 9, "south": 9}, at=NOW, limit=3)

    assert [job.number for job in claimed] == [1, 2, 3]


def test_a_pinned_job_goes_to_its_backend_or_waits(path: Path) -> None:
    jobs = [make_new_job("a", pinned_backend="south"), make_new_job("b", pinned_backend="south"),
            make_new_job("c", pinned_backend="west"), make_new_job("d")]  # fmt: skip

    assert claims_of(path, jobs, north=5, south=1) == [(1, "south"), (4, "north")]


def test_many_jobs_pinned_to_one_backend_do_not_keep_another_one_idle(path: Path) -> None:
    jobs = [*make_tiles(20, pinned_backend="north"), *make_tiles(4, pinned_backend="south"), *make_tiles(2)]

    claimed = claims_of(path, jobs, north=1, south=3)
    assert claimed == [(1, "north"), (21, "south"), (22, "south"), (23, "south")]


def test_the_highest_priority_comes_first_then_the_order_of_the_frame(path: Path) -> None:
    priorities = [0.0, 2.5, -1.0, 2.5, 1.0]
    jobs = [make_new_job("t", priority=each) for each in priorities]

    assert [number for number, _ in claims_of(path, jobs, north=9)] == [2, 4, 5, 1, 3]


def test_priority_counts_between_pinned_and_free_jobs(path: Path) -> None:
    jobs = [
        make_new_job("a", pinned_backend="north"),
        make_new_job("b", priority=1),
        make_new_job("c", pinned_backend="north", priority=2),
    ]

    assert claims_of(path, jobs, north=2) == [(3, "north"), (2, "north")]


def test_a_changed_position_changes_the_order(store: JobStore, runner_id: int, path: Path) -> None:
    run_sql(path, "UPDATE job SET position = -1 WHERE id = 4")

    assert claim_one(store, runner_id).number == 4


def test_a_row_waits_until_its_time_has_come(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    store.creations.release(job, at=NOW, reason="429", not_before=seconds(60))

    caps = {"north": 9}
    before = store.claims.claim(runner_id=runner_id, caps=caps, at=seconds(59.999))
    after = store.claims.claim(runner_id=runner_id, caps=caps, at=seconds(60))
    assert [job.number for job in before] == [2, 3, 4, 5]
    assert [job.number for job in after] == [1]


def test_a_row_with_a_word_of_its_user_is_never_claimed(store: JobStore, runner_id: int, path: Path) -> None:
    run_sql(path, "UPDATE job SET user_status = 'parked' WHERE id IN (1, 3)")

    claimed = store.claims.claim(runner_id=runner_id, caps={"north": 9}, at=NOW)
    assert [job.number for job in claimed] == [2, 4, 5]


@pytest.mark.parametrize("status", JobStatus)
def test_exactly_the_rows_under_way_hold_a_slot(
    store: JobStore, runner_id: int, path: Path, status: JobStatus
) -> None:
    create_one(store, runner_id, "j-1")
    force_status(path, 1, status)

    claimed = store.claims.claim(runner_id=runner_id, caps={"north": 1}, at=NOW)
    holds = status in ("submitting", "created", "queued_for_start", "queued", "running")
    assert len(claimed) == (0 if holds else 1)


def test_a_row_that_waits_for_a_person_holds_no_slot(store: JobStore, runner_id: int) -> None:
    store.creations.ask_person(claim_one(store, runner_id), reason="no title", at=NOW)

    assert len(store.claims.claim(runner_id=runner_id, caps={"north": 1}, at=NOW)) == 1


def test_a_row_that_its_user_has_set_aside_under_way_holds_its_slot(
    store: JobStore, runner_id: int, path: Path
) -> None:
    create_one(store, runner_id, "j-1")
    run_sql(path, "UPDATE job SET status = 'running', user_status = 'OOM' WHERE id = 1")

    assert store.claims.claim(runner_id=runner_id, caps={"north": 1}, at=NOW) == []


def test_a_slot_counts_where_the_request_left(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id, "north")
    store.creations.record_intent(job, backend_name="south", fingerprint="f", tag="t", at=NOW)

    assert store.claims.claim(runner_id=runner_id, caps={"south": 1}, at=NOW) == []


def test_every_attempt_has_its_number(store: JobStore, runner_id: int) -> None:
    numbers = []
    for _ in range(3):
        job = claim_one(store, runner_id)
        assert job.attempt is not None
        numbers.append((job.number, job.attempt.number))
        store.creations.release(job, at=NOW, reason="again", failure=FAILURE)

    assert numbers == [(1, 1), (1, 2), (1, 3)]


def test_a_runner_that_was_replaced_claims_nothing(store: JobStore, runner_id: int) -> None:
    store.runners.begin(make_runner(), is_dead=is_dead, at=NOW)

    assert store.claims.claim(runner_id=runner_id, caps={"north": 1}, at=NOW) == []
    assert set(store.jobs.count_by_status()) == {JobStatus.NOT_STARTED}
