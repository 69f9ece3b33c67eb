"""What the word of a backend means, in every case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openeo_jobs.jobs import Attempt, BatchJob, Job, Outcome
from openeo_jobs.policy.observation import Verdict, judge, may_be_lost
from openeo_jobs.status import BACKEND_WORDS, JobStatus
from openeo_jobs.testing import make_job

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
GRACE = timedelta(seconds=120)
LOST_AFTER = timedelta(seconds=1800)
SEEN = NOW + GRACE / 2
LONG_AGO = NOW - timedelta(days=1)


def make_attempt(**overrides: Any) -> Attempt:
    values: dict[str, Any] = {"id": 1, "number": 1, "backend_name": "north", "began_at": LONG_AGO}
    return Attempt(**(values | overrides))


def make_tracked(
    status: str,
    *,
    started: bool = True,
    created_seen_at: datetime | None = None,
    vain_starts: int = 0,
    **more: Any,
) -> Job:
    batch_job = BatchJob(
        id=1,
        backend_name="north",
        outcome=Outcome.CREATED,
        batch_job_id="j-1",
        start_sent_at=LONG_AGO if started else None,
        vain_starts=vain_starts,
    )
    attempt = make_attempt(batch_job=batch_job, created_seen_at=created_seen_at)
    return make_job(status=JobStatus(status), attempt=attempt, **more)


def say(job: Job, word: str) -> Verdict:
    return judge(job, word, at=NOW, grace=GRACE)


@pytest.mark.parametrize("old", ["submitting", "queued_for_start", "queued", "running", "lost"])
@pytest.mark.parametrize("word", ["queued", "running", "finished", "error", "canceled"])
def test_the_word_of_the_backend_is_the_status(old: str, word: str) -> None:
    assert say(make_tracked(old), word) == Verdict(status=JobStatus(word))


@pytest.mark.parametrize("old", ["submitting", "created", "queued_for_start", "lost"])
def test_what_was_never_started_may_be_created(old: str) -> None:
    assert say(make_tracked(old, started=False), "created") == Verdict(status=JobStatus.CREATED)


@pytest.mark.parametrize(
    "word", ["", "Finished", "done", "cancelled", "not_started", "lost", "skipped", "submitting"]
)
def test_a_word_that_nobody_knows_changes_nothing(word: str) -> None:
    assert say(make_tracked("running"), word) == Verdict(status=JobStatus.RUNNING, is_unknown_word=True)


@pytest.mark.parametrize(
    ("old", "word"),
    [("finished", "running"), ("error", "queued"), ("canceled", "running"), ("finished", "created"),
     ("error", "created"), ("skipped", "finished"), ("not_started", "running"), ("start_failed", "running")],
)  # fmt: skip
@pytest.mark.parametrize("created_seen_at", [None, LONG_AGO])
def test_a_word_that_the_graph_does_not_allow_changes_nothing(
    old: str, word: str, created_seen_at: datetime | None
) -> None:
    verdict = say(make_tracked(old, created_seen_at=created_seen_at), word)

    assert verdict == Verdict(status=JobStatus(old), is_unknown_word=True)


@pytest.mark.parametrize("old", ["created", "queued", "running"])
@pytest.mark.parametrize("created_seen_at", [None, SEEN, LONG_AGO])
def test_created_after_our_stop_is_canceled(old: str, created_seen_at: datetime | None) -> None:
    job = make_tracked(old, created_seen_at=created_seen_at, cancel_requested_at=NOW)

    assert say(job, "created").status is JobStatus.CANCELED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("submitting", "queued_for_start"),
        ("queued_for_start", "queued_for_start"),
        ("created", "created"),
        ("queued", "created"),
        ("running", "created"),
    ],
)
def test_created_after_a_start_is_only_noted_at_first(old: str, new: str) -> None:
    verdict = say(make_tracked(old), "created")

    assert verdict.status == new
    assert (verdict.created_seen_at, verdict.may_start_again) == (NOW, False)


def test_created_twice_within_the_grace_period_still_waits() -> None:
    seen_at = NOW - GRACE + timedelta(milliseconds=1)
    verdict = say(make_tracked("queued_for_start", created_seen_at=seen_at), "created")

    assert verdict == Verdict(status=JobStatus.QUEUED_FOR_START, created_seen_at=seen_at)


def test_the_last_of_too_many_vain_starts_fails() -> None:
    for vain_starts, status in ((3, "created"), (4, "start_failed")):
        job = make_tracked("queued_for_start", created_seen_at=LONG_AGO, vain_starts=vain_starts)
        verdict = say(job, "created")
        assert (verdict.status, verdict.may_start_again) == (status, status == "created")


def test_created_twice_a_grace_period_apart_may_be_started_again() -> None:
    verdict = say(make_tracked("queued_for_start", created_seen_at=NOW - GRACE), "created")

    assert (verdict.status, verdict.may_start_again) == (JobStatus.CREATED, True)
    assert verdict.created_seen_at is None


def test_created_for_long_after_it_was_queued_was_stopped_by_somebody_else() -> None:
    verdict = say(make_tracked("created", created_seen_at=NOW - GRACE), "created")

    assert verdict == Verdict(status=JobStatus.CANCELED, reason="stopped on the backend by somebody else")


@pytest.mark.parametrize("word", sorted(BACKEND_WORDS - {JobStatus.CREATED}))
def test_a_start_that_was_seen_forgets_that_created_was_seen(word: str) -> None:
    assert say(make_tracked("queued_for_start", created_seen_at=SEEN), word).created_seen_at is None


def test_the_same_word_again_changes_nothing() -> None:
    assert say(make_tracked("running"), "running") == Verdict(status=JobStatus.RUNNING)


@pytest.mark.parametrize(
    ("count", "age", "expected"),
    [
        (0, None, False),
        (3, 1800, True),
        (2, 9999, False),
        (3, 1799.9, False),
        (100, 1800, True),
        (3, None, False),
    ],
)
def test_a_batch_job_may_be_lost_after_three_times_and_long(
    count: int, age: float | None, expected: bool
) -> None:
    since = None if age is None else NOW - timedelta(seconds=age)
    attempt = make_attempt(not_found_count=count, not_found_since=since)

    assert may_be_lost(attempt, at=NOW, lost_after=LOST_AFTER) is expected


ASKED = {"cancel_requested_at": SEEN}


@pytest.mark.parametrize("status", ["submitting", "queued_for_start"])
def test_created_is_not_canceled_while_a_start_may_be_on_its_way(status: str) -> None:
    first = say(make_tracked(status, **ASKED), "created")
    assert (first.status, first.created_seen_at) == (JobStatus.QUEUED_FOR_START, NOW)
    soon = say(make_tracked(status, created_seen_at=SEEN, **ASKED), "created")
    assert soon.status is JobStatus.QUEUED_FOR_START
    late = say(make_tracked(status, created_seen_at=NOW - GRACE, **ASKED), "created")
    assert (late.status, late.may_start_again) == (JobStatus.CANCELED, False)


def test_what_was_never_started_is_canceled_without_a_stop() -> None:
    assert say(make_tracked("created", started=False, **ASKED), "created").status is JobStatus.CANCELED
    assert say(make_tracked("created", started=False), "created").status is JobStatus.CREATED


@pytest.mark.parametrize("word", ["queued", "running", "finished", "error"])
def test_a_request_to_cancel_changes_no_other_word(word: str) -> None:
    assert say(make_tracked("queued_for_start", **ASKED), word).status == word
