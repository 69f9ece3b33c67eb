"""Statuses and their groups, written out; the graph itself is tested in storage/test_graph.py."""

from __future__ import annotations

import pytest

from openeo_jobs.status import (
    ACTIVE,
    BACKEND_WORDS,
    ENDED,
    FAILED,
    FINAL,
    POLLED,
    TRACKER_CHANGES,
    Actor,
    JobStatus,
    can_change,
    upstream_word,
)


def test_the_groups_are_these() -> None:
    words = {
        "ACTIVE": ACTIVE,
        "POLLED": POLLED,
        "ENDED": ENDED,
        "FAILED": FAILED,
        "FINAL": FINAL,
        "BACKEND_WORDS": BACKEND_WORDS,
    }

    assert {name: set(map(str, group)) for name, group in words.items()} == {
        "ACTIVE": {"submitting", "created", "queued_for_start", "queued", "running"},
        "POLLED": {"created", "queued_for_start", "queued", "running"},
        "ENDED": {"finished", "error", "canceled"},
        "FAILED": {"error", "start_failed", "lost"},
        "FINAL": {"finished", "error", "canceled", "start_failed", "lost", "skipped"},
        "BACKEND_WORDS": {"created", "queued", "running", "finished", "error", "canceled"},
    }


def test_every_status_waits_is_under_way_or_is_over() -> None:
    assert {JobStatus.NOT_STARTED} | ACTIVE | FINAL == set(JobStatus)
    assert not ACTIVE & FINAL


def test_every_status_that_is_under_way_has_a_way_on() -> None:
    assert {status for status in ACTIVE if not TRACKER_CHANGES[status]} == set()
    assert TRACKER_CHANGES.keys() == set(JobStatus)


@pytest.mark.parametrize("actor", Actor)
@pytest.mark.parametrize("status", JobStatus)
def test_the_same_status_again_is_no_change(status: JobStatus, actor: Actor) -> None:
    assert can_change(status, status, actor)


@pytest.mark.parametrize("status", JobStatus)
def test_only_the_words_of_openeos_own_manager_are_shown_there(status: JobStatus) -> None:
    expected = {"submitting": "not_started", "lost": "error"}

    assert upstream_word(status) == expected.get(status, status)
