"""Rows that have moved meanwhile are left alone; a dead runner's rows go to the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from storage_lifecycle import finish_one
from storage_tools import (
    FAILURE,
    NOW,
    begin_runner,
    claim_one,
    create_one,
    dump,
    force_status,
    is_alive,
    is_dead,
    make_runner,
    reload,
    run_sql,
    seconds,
    take_over,
)

from openeo_jobs.errors import JobMovedError
from openeo_jobs.jobs import Job, Outcome, ResultsStatus
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.progress import Step
from openeo_jobs.storage.store import JobStore

Write = Callable[[JobStore, Job], Any]
WHILE_SUBMITTING: dict[str, Write] = {
    "record_intent": lambda store, job: store.creations.record_intent(
        job, backend_name="south", fingerprint="f", tag="t", at=NOW
    ),
    "record_start_sent": lambda store, job: store.creations.record_start_sent(
        job, backend_name="north", batch_job_id="j", at=NOW
    ),
    "choose": lambda store, job: store.creations.choose(job, backend_name="north", batch_job_id="j", at=NOW),
    "skip": lambda store, job: store.creations.skip(job, at=NOW),
    "fail": lambda store, job: store.creations.fail(job, FAILURE, at=NOW),
    "release": lambda store, job: store.creations.release(job, at=NOW, reason="r", failure=FAILURE),
    "ask_person": lambda store, job: store.creations.ask_person(job, reason="r", at=NOW),
}
WHILE_CREATED: dict[str, Write] = {
    "begin_start": lambda store, job: store.progress.begin_start(job, at=NOW),
    "record_lost": lambda store, job: store.progress.record_lost(job, at=NOW),
    "request_overdue": lambda store, job: store.cancellations.request_overdue(job, at=NOW),
    "fail": lambda store, job: store.creations.fail(job, FAILURE, at=NOW),
    "adopt": lambda store, job: store.creations.adopt(job, 1, at=NOW, reason="r", status=JobStatus.QUEUED),
}


WHILE_ENDED: dict[str, Write] = {
    "record_downloading": lambda store, job: store.endings.record_downloading(job),
    "record_downloaded": lambda store, job: store.assets.record_downloaded(job, [], at=NOW),
    "record_download_failed": lambda store, job: store.endings.record_download_failed(
        job, message="m", tries=1, again_at=None
    ),
    "record_failure": lambda store, job: store.endings.record_failure(job, FAILURE),
    "record_returned": lambda store, job: store.hooks.record_returned(job, at=NOW),
    "record_raised": lambda store, job: store.hooks.record_raised(
        job, message="m", tries=1, again_at=None, runner_id=1
    ),
}
OF_REQUESTS: dict[str, Write] = {
    "record_found": lambda store, job: store.creations.record_found(job, 1, "j"),
    "record_absent": lambda store, job: store.creations.record_absent(job, 1, at=NOW),
    "record_not_created": lambda store, job: store.creations.record_not_created(job, 1),
    "record_copy": lambda store, job: store.creations.record_copy(
        job, backend_name="north", batch_job_id="j", at=NOW
    ),
    "record_start_sent": lambda store, job: store.creations.record_start_sent(
        job, backend_name="north", batch_job_id="j", at=None
    ),
}


def check_refused(store: JobStore, path: Path, write: Write, job: Job) -> None:
    before = dump(path)
    with pytest.raises(JobMovedError, match=f"row {job.number} is no longer as it was read"):
        write(store, job)
    assert dump(path) == before


@pytest.mark.parametrize("write", WHILE_SUBMITTING.values(), ids=WHILE_SUBMITTING)
class TestWhileSubmitting:
    def test_a_row_whose_status_has_changed_is_left_alone(
        self, store: JobStore, runner_id: int, path: Path, write: Write
    ) -> None:
        job = claim_one(store, runner_id)
        force_status(path, 1, "running")

        check_refused(store, path, write, job)

    def test_a_row_whose_owner_has_changed_is_left_alone(
        self, store: JobStore, runner_id: int, path: Path, write: Write
    ) -> None:
        job = claim_one(store, runner_id)
        begin_runner(store)

        check_refused(store, path, write, job)

    def test_a_row_that_is_in_its_next_attempt_is_left_alone(
        self, store: JobStore, runner_id: int, path: Path, write: Write
    ) -> None:
        job = claim_one(store, runner_id)
        store.creations.release(job, at=NOW, reason="again")
        assert claim_one(store, runner_id).number == job.number

        check_refused(store, path, write, job)


@pytest.mark.parametrize("write", WHILE_CREATED.values(), ids=WHILE_CREATED)
class TestWhileCreated:
    def test_a_row_whose_status_has_changed_is_left_alone(
        self, store: JobStore, runner_id: int, path: Path, write: Write
    ) -> None:
        job = create_one(store, runner_id, "j-1")
        force_status(path, 1, "finished")

        check_refused(store, path, write, job)

    def test_a_row_whose_owner_has_changed_is_left_alone(
        self, store: JobStore, runner_id: int, path: Path, write: Write
    ) -> None:
        job = create_one(store, runner_id, "j-1")
        begin_runner(store)

        check_refused(store, path, write, job)


@pytest.mark.parametrize("write", WHILE_ENDED.values(), ids=WHILE_ENDED)
def test_nothing_is_stored_of_an_ended_row_that_has_another_owner(
    store: JobStore, runner_id: int, path: Path, write: Write
) -> None:
    job = finish_one(store, runner_id, "j-1")
    begin_runner(store)

    check_refused(store, path, write, job)


@pytest.mark.parametrize("write", OF_REQUESTS.values(), ids=OF_REQUESTS)
def test_nothing_is_found_out_of_the_requests_of_a_row_that_has_another_owner(
    store: JobStore, runner_id: int, path: Path, write: Write
) -> None:
    job = claim_one(store, runner_id)
    store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="t", at=NOW)
    begin_runner(store)

    check_refused(store, path, write, job)


def test_a_row_that_has_another_owner_is_not_counted_as_unknown(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")
    begin_runner(store)
    store.progress.record_not_found([job], at=NOW)

    attempt = reload(store, job).attempt
    assert attempt is not None and attempt.not_found_count == 0


def test_a_late_answer_does_not_undo_what_was_found_out(store: JobStore, runner_id: int) -> None:
    jobs = [claim_one(store, runner_id) for _ in range(3)]
    posts = [
        store.creations.record_intent(
            job, backend_name="north", fingerprint="f", tag=f"t{job.number}", at=NOW
        )
        for job in jobs
    ]
    store.creations.record_found(jobs[0], posts[0], "j-1")
    store.creations.record_not_created(jobs[1], posts[1])
    store.creations.record_not_created(jobs[2], posts[2])
    for post, outcome, one in (
        (posts[0], Outcome.UNKNOWN, None),
        (posts[1], Outcome.UNKNOWN, None),
        (posts[2], Outcome.CREATED, "j-3"),
    ):
        store.creations.record_outcome(post, outcome=outcome, batch_job_id=one, at=NOW)

    known = [(post.outcome, post.batch_job_id) for _, (post,) in store.creations.unresolved(runner_id)]
    assert known == [(Outcome.ADOPTED, "j-1"), (Outcome.NOT_CREATED, None), (Outcome.CREATED, "j-3")]


def test_one_row_that_has_moved_does_not_keep_the_others_from_being_recorded(
    store: JobStore, runner_id: int, path: Path
) -> None:
    jobs = [create_one(store, runner_id, f"j-{n}") for n in (1, 2, 3)]
    force_status(path, 2, "canceled")
    steps = [Step(job=job, status=JobStatus.RUNNING, word="running", costs=2.0) for job in jobs]

    assert store.progress.record(steps, at=NOW) == [jobs[1]]
    assert [reload(store, job).status for job in jobs] == ["running", "canceled", "running"]
    assert run_sql(path, "SELECT costs FROM attempt ORDER BY id") == [(2.0,), (None,), (2.0,)]


def test_the_outcome_of_a_request_that_did_leave_is_stored_whoever_owns_the_row(
    store: JobStore, runner_id: int
) -> None:
    job = claim_one(store, runner_id)
    number = store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="t", at=NOW)
    successor = begin_runner(store)
    store.creations.record_outcome(number, outcome=Outcome.CREATED, batch_job_id="j-1", at=seconds(1))

    ((_, (post,)),) = store.creations.unresolved(successor)
    assert (post.batch_job_id, post.outcome) == ("j-1", Outcome.CREATED)


def begin_second(store: JobStore) -> int:
    """Begin a runner beside those that are there."""
    return store.runners.begin(make_runner(), is_dead=is_alive, at=NOW)


def test_a_second_run_leaves_the_rows_of_the_first_to_it(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")
    second = begin_second(store)

    assert take_over(store, second) == 0
    assert store.owners.take(second, [job]) == []
    assert reload(store, job).owner_id == runner_id
    assert store.jobs.polled(["north"], runner_id=second) == []
    assert claim_one(store, second).number == 2


def test_slots_are_counted_for_all_runs_together_each_with_its_own_cap(
    store: JobStore, runner_id: int
) -> None:
    second = begin_second(store)
    claims = [
        store.claims.claim(runner_id=one, caps={"north": cap}, at=NOW)
        for one, cap in ((runner_id, 2), (second, 2), (second, 3), (runner_id, 2), (runner_id, 4))
    ]

    assert [len(claim) for claim in claims] == [2, 0, 1, 0, 1]


def test_the_start_of_one_row_more_than_there_are_slots_is_not_begun(store: JobStore, runner_id: int) -> None:
    first, second = (create_one(store, runner_id, f"j-{n}") for n in (1, 2))
    store.progress.begin_start(first, at=NOW, cap=1)

    with pytest.raises(JobMovedError, match="no slot is free on north"):
        store.progress.begin_start(second, at=NOW, cap=1)
    assert reload(store, second).attempt == second.attempt


@pytest.mark.parametrize("end", ["in order", "dead"])
def test_the_rows_of_a_runner_that_has_ended_go_to_exactly_one_that_is_alive(
    store: JobStore, runner_id: int, end: str
) -> None:
    job = create_one(store, runner_id, "j-1")
    second, third = begin_second(store), begin_second(store)
    if end == "in order":
        store.runners.end(runner_id, at=seconds(1))
    else:
        dead = store.runners.bury(second, is_dead=lambda one: one.id == runner_id, at=NOW)
        assert [one.id for one in dead] == [runner_id]

    assert [take_over(store, one) for one in (second, third)] == [1, 0]
    assert reload(store, job).owner_id == second


def test_nobody_is_taken_for_dead_by_itself(store: JobStore, runner_id: int) -> None:
    assert store.runners.bury(runner_id, is_dead=is_dead, at=NOW) == []
    assert [one.id for one in store.runners.open()] == [runner_id]


def test_a_runner_that_was_taken_for_dead_takes_nothing(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")
    second = begin_second(store)
    store.runners.end(second, at=NOW)
    store.runners.end(runner_id, at=NOW)

    assert take_over(store, second) == 0
    assert store.owners.take(second, [job]) == []


def test_only_rows_on_backends_of_the_runner_go_to_it(store: JobStore, runner_id: int) -> None:
    job = create_one(store, runner_id, "j-1")
    second = store.runners.begin(make_runner(), is_dead=is_dead, at=NOW)

    assert store.owners.take_over(second, ["south"], at=NOW) == 0
    assert reload(store, job).owner_id == runner_id
    assert store.owners.take_over(second, ["south", "north"], at=NOW) == 1


def test_a_row_that_another_manager_has_written_goes_to_whoever_has_its_backend(
    store: JobStore, runner_id: int, path: Path
) -> None:
    force_status(path, 1, "not_started")
    run_sql(
        path,
        "INSERT INTO attempt (job_id, number, backend_id, began_at)"
        " VALUES (1, 1, 1, '2024-01-31T12:00:00.000Z')",
    )
    run_sql(
        path, "UPDATE job SET status = 'running', change_actor = 'interface', attempt_id = 1 WHERE id = 1"
    )

    assert take_over(store, runner_id) == 1
    assert [job.owner_id for job in store.jobs.all()][:2] == [runner_id, None]


def test_complete_rows_keep_their_owner(store: JobStore, runner_id: int) -> None:
    job = finish_one(store, runner_id, "j-1", results_status=ResultsStatus.NOT_WANTED)
    store.hooks.record_returned(job, at=NOW)
    begin_runner(store)

    assert reload(store, job).owner_id == runner_id


def test_a_run_that_has_ended_is_not_in_the_way(store: JobStore, runner_id: int) -> None:
    store.runners.end(runner_id, at=seconds(1))

    assert store.runners.begin(make_runner(), is_dead=is_alive, at=seconds(2)) == runner_id + 1


def test_the_rows_under_way_of_a_dead_runner_go_to_the_next_one(
    store: JobStore, runner_id: int, path: Path
) -> None:
    for number in (1, 2, 3):
        create_one(store, runner_id, f"j-{number}")
    force_status(path, 2, "running")
    force_status(path, 3, "finished")
    successor = begin_runner(store)

    owners = [job.owner_id for job in store.jobs.all()]
    assert owners == [successor, successor, successor, None, None]


def test_the_rows_of_a_runner_that_ended_in_order_go_to_the_next_one(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    store.runners.end(runner_id, at=NOW)
    successor = begin_runner(store)

    assert [each.number for each, _ in store.creations.unresolved(successor)] == [job.number]


def test_a_dead_runner_has_ended_when_it_was_last_heard_of(
    store: JobStore, runner_id: int, path: Path
) -> None:
    store.runners.beat(runner_id, at=seconds(30))
    begin_runner(store)

    assert run_sql(path, "SELECT ended_at FROM runner") == [("2024-01-31T12:00:30.000Z",), (None,)]


def test_a_request_that_was_under_way_has_ended_at_the_takeover(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="t", at=NOW)
    successor = store.runners.begin(make_runner(), is_dead=is_dead, at=seconds(90))
    take_over(store, successor, at=seconds(90))

    ((_, (post,)),) = store.creations.unresolved(successor)
    assert (post.sent_at, post.ended_at) == (NOW, seconds(90))


def test_a_request_that_had_ended_keeps_its_end(store: JobStore, runner_id: int) -> None:
    job = claim_one(store, runner_id)
    number = store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="t", at=NOW)
    store.creations.record_outcome(number, outcome=Outcome.UNKNOWN, batch_job_id=None, at=seconds(5))
    successor = store.runners.begin(make_runner(), is_dead=is_dead, at=seconds(90))
    take_over(store, successor, at=seconds(90))

    ((_, (post,)),) = store.creations.unresolved(successor)
    assert post.ended_at == seconds(5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("failed", "pending"),
        ("downloading", "pending"),
        ("pending", "pending"),
        ("downloaded", "downloaded"),
        ("not_wanted", "not_wanted"),
    ],
)
def test_results_that_could_not_be_fetched_are_fetched_by_the_next_run(
    store: JobStore, runner_id: int, path: Path, before: str, after: str
) -> None:
    job = finish_one(store, runner_id, "j-1", results_status=ResultsStatus(before))
    begin_runner(store)

    assert reload(store, job).results_status == after


def test_tries_of_the_last_run_do_not_count(store: JobStore, runner_id: int) -> None:
    job = finish_one(store, runner_id, "j-1")
    store.endings.record_download_failed(job, message="reset", tries=1, again_at=None)
    begin_runner(store)

    job = reload(store, job)
    assert (job.results_tries, job.results_not_before) == (0, None)


def test_a_runner_that_was_taken_for_dead_is_told(store: JobStore, runner_id: int) -> None:
    assert store.runners.record_round(runner_id, at=NOW)
    begin_second(store)
    assert store.runners.record_round(runner_id, at=NOW)
    begin_runner(store)

    assert not store.runners.record_round(runner_id, at=NOW)


def test_a_runner_that_wakes_late_and_was_not_replaced_goes_on(store: JobStore, runner_id: int) -> None:
    store.runners.record_round(runner_id, at=seconds(10_000_000))

    latest = store.runners.latest()
    assert latest is not None
    assert (latest.last_round_at, latest.ended_at) == (seconds(10_000_000), None)
