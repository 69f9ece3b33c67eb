"""Which job goes where, and what became of create requests whose outcome is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openeo_jobs.jobs import Attempt, Backend, BatchJob, Job, Observation, Outcome
from openeo_jobs.policy.submission import (
    Adopt,
    AskPerson,
    LookUp,
    Release,
    effective_cap,
    is_first_listing_enough,
    is_proved_absent,
    is_startable,
    pick_original,
    plan_starts,
    plan_submissions,
    settle,
    shows_tags,
    titles_are_dropped,
)
from openeo_jobs.status import JobStatus
from openeo_jobs.testing import make_job

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
GRACE = timedelta(seconds=120)


def at(number: float) -> datetime:
    return NOW + timedelta(seconds=number)


def make_post(**overrides: Any) -> BatchJob:
    values: dict[str, Any] = {"id": 1, "backend_name": "north", "outcome": Outcome.UNKNOWN, "tag": "oj-1"}
    return BatchJob(**(values | overrides))


def make_attempt(**overrides: Any) -> Attempt:
    values: dict[str, Any] = {"id": 1, "number": 1, "backend_name": "north", "began_at": NOW}
    return Attempt(**(values | overrides))


KNOWN = make_post(id=2, outcome=Outcome.CREATED, batch_job_id="j-2")
OTHER = make_post(id=3, outcome=Outcome.ADOPTED, batch_job_id="j-3")
NOTHING = make_post(id=4, outcome=Outcome.NOT_CREATED)


@pytest.mark.parametrize(
    ("pins", "free", "plan"),
    [
        ([None, None, None], {"a": 2, "b": 1}, "a a b"),
        ([None, None, None, None], {"a": 1, "b": 3}, "b b a b"),
        ([None], {"a": 1, "b": 1}, "a"),
        ([None, None], {"a": 1}, "a -"),
        (["b", "b", None], {"a": 1, "b": 1}, "b - a"),
        (["west", None], {"a": 1}, "- a"),
        (["a", None], {"a": 0, "b": 1}, "- b"),
        ([None], {}, "-"),
        ([], {"a": 3}, ""),
        ([None, "a"], {"a": 1}, "a -"),
    ],
)
def test_waiting_jobs_are_handed_to_backends_with_room(
    pins: list[str | None], free: dict[str, int], plan: str
) -> None:
    jobs = [make_job(number=n, pinned_backend=pin) for n, pin in enumerate(pins)]

    expected = [(job, name) for job, name in zip(jobs, plan.split(), strict=True) if name != "-"]
    assert plan_submissions(jobs, free) == expected


def test_the_free_slots_that_were_handed_in_are_not_changed() -> None:
    free = {"a": 1}
    plan_submissions([make_job()], free)

    assert free == {"a": 1}


CREATED: dict[str, Any] = {"status": JobStatus.CREATED, "attempt": make_attempt(batch_job=KNOWN)}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (make_job(**CREATED), True),
        (make_job(status=JobStatus.CREATED), False),
        (make_job(status=JobStatus.CREATED, attempt=make_attempt()), False),
        (make_job(**(CREATED | {"status": JobStatus.FINISHED})), False),
        (make_job(**(CREATED | {"status": JobStatus.QUEUED_FOR_START})), False),
        (make_job(**CREATED, needs_person_since=NOW), False),
        (make_job(**CREATED, user_status="parked"), False),
        (make_job(**CREATED, cancel_requested_at=NOW), False),
        (
            make_job(
                status=JobStatus.CREATED,
                attempt=make_attempt(batch_job=make_post(batch_job_id="j", start_sent_at=NOW)),
            ),
            False,
        ),
    ],
)
def test_a_start_is_asked_for_once_and_only_of_what_is_inert(job: Job, expected: bool) -> None:
    assert is_startable(job) is expected


@pytest.mark.parametrize(
    ("posts", "decision"),
    [
        ([], Release(reason="nothing was sent")),
        ([NOTHING], Release(reason="nothing was created")),
        ([KNOWN], Adopt(batch_job=KNOWN)),
        ([NOTHING, KNOWN], Adopt(batch_job=KNOWN)),
        ([make_post()], LookUp(batch_jobs=(make_post(),))),
        ([KNOWN, make_post(), NOTHING], LookUp(batch_jobs=(make_post(),))),
        ([make_post(), make_post(id=9)], LookUp(batch_jobs=(make_post(), make_post(id=9)))),
    ],
)
def test_a_row_whose_callback_did_not_return_is_settled(posts: list[BatchJob], decision: object) -> None:
    assert settle(posts) == decision


@pytest.mark.parametrize("posts", [[make_post(tag=None)], [make_post(), make_post(id=9, tag=None)]])
def test_a_request_without_a_tag_is_a_question_for_a_person(posts: list[BatchJob]) -> None:
    decision = settle(posts)

    assert isinstance(decision, AskPerson)
    assert "tag_titles=False" in decision.reason


def test_several_batch_jobs_are_a_question_for_a_person() -> None:
    decision = settle([KNOWN, OTHER])

    assert isinstance(decision, AskPerson)
    assert "j-2, j-3" in decision.reason


@pytest.mark.parametrize(
    ("absent_since", "ended_at", "when", "expected"),
    [
        (None, NOW, 9999, False),
        (at(1), None, 9999, False),
        (at(1), NOW, 119, False),
        (at(1), NOW, 120, False),
        (at(1), NOW, 120.001, True),
        (at(9000), NOW, 9001, True),
        (at(1), at(100), 150, False),
    ],
)
def test_absence_takes_two_listings_and_the_grace_period(
    absent_since: datetime | None, ended_at: datetime | None, when: float, expected: bool
) -> None:
    post = make_post(absent_since=absent_since, ended_at=ended_at)

    assert is_proved_absent(post, at=at(when), grace=GRACE) is expected


@pytest.mark.parametrize(
    ("keeps_titles", "titles", "expected"),
    [
        (True, [], False),
        (True, [None, None], False),
        (False, ["a"], True),
        (False, [], True),
        (None, [], False),
        (None, ["a", None], False),
        (None, [None, None], True),
        (None, ["", None], True),
    ],
)
def test_a_backend_without_titles_proves_nothing(
    keeps_titles: bool | None, titles: list[str | None], expected: bool
) -> None:
    assert titles_are_dropped(keeps_titles, titles) is expected


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        ({}, None),
        ({"other": None}, None),
        ({"a": "tile [oj-a]"}, True),
        ({"a": "tile [oj-a]", "other": None}, True),
        ({"a": None}, False),
        ({"a": "tile [oj-a]", "b": "a title that is too lo"}, False),
    ],
)
def test_a_listing_shows_titles_if_batch_jobs_of_ours_come_with_their_tags(
    titles: dict[str, str | None], expected: bool | None
) -> None:
    seen = [Observation(batch_job_id=one, status="created", title=title) for one, title in titles.items()]

    assert shows_tags(seen, {"a": "oj-a", "b": "oj-b", "gone": "oj-c"}) is expected


@pytest.mark.parametrize(
    ("found", "original"),
    [
        ([("a", "created", "2024-01-02"), ("b", "created", "2024-01-01")], "b"),
        ([("a", "created", "2024-01-01"), ("b", "running", "2024-01-02")], "b"),
        ([("a", "finished", "2024-01-03"), ("b", "queued", "2024-01-02")], "b"),
        ([("a", "created", None)], "a"),
        ([("a", "created", None), ("b", "error", None)], "b"),
        ([("a", "created", "2024-01-01"), ("b", "created", "2024-01-01")], "a"),
    ],
)
def test_of_several_the_started_one_is_kept_else_the_oldest(
    found: list[tuple[str, str, str | None]], original: str
) -> None:
    seen = [Observation(batch_job_id=name, status=word, created=when) for name, word, when in found]
    kept, copies = pick_original(seen)

    assert kept.batch_job_id == original
    assert {kept.batch_job_id, *(copy.batch_job_id for copy in copies)} == {name for name, *_ in found}


@pytest.mark.parametrize(
    ("learned", "minutes", "cap"),
    [(None, 0, 8), (2, 0, 2), (2, 29, 2), (2, 30, 4), (2, 60, 8), (2, 6000, 8), (9, 0, 8), (1, -5, 1)],
)
def test_a_learned_cap_doubles_every_half_hour_up_to_the_given_one(
    learned: int | None, minutes: int, cap: int
) -> None:
    backend = Backend(name="north", learned_cap=learned, learned_at=NOW)

    assert effective_cap(backend, 8, at=NOW + timedelta(minutes=minutes)) == cap


def test_no_more_is_started_than_a_backend_has_room_for() -> None:
    waiting = [
        make_job(
            number=number,
            status=JobStatus.CREATED,
            attempt=make_attempt(backend_name=name, batch_job=make_post(id=number, start_sent_at=started)),
        )
        for number, name, started in (
            *((1, "a", None), (2, "b", None), (3, "a", NOW), (4, "a", None)),
            *((5, "a", None), (6, "c", None)),
        )
    ]

    assert [job.number for job in plan_starts(waiting, {"a": 2, "b": 0})] == [1, 4]
    assert plan_starts(waiting, {"a": -1}) == []


@pytest.mark.parametrize(
    ("is_part_missing", "times", "minutes", "is_enough"),
    [(False, 2, 90, False), (False, 3, 0, True), (True, 9, 30, False), (True, 0, 31, True)],
)
def test_a_first_listing_that_is_not_complete(is_part_missing, times, minutes, is_enough) -> None:
    found = is_first_listing_enough(
        is_part_missing=is_part_missing,
        times=times,
        incomplete_for=timedelta(minutes=minutes),
        lost_after=timedelta(minutes=30),
    )
    assert found is is_enough
