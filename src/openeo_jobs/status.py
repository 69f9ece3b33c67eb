"""The statuses of a job, their groups, and the graph of changes that are allowed.

               ┌──────────────┐   skipped
┌─────────────>│ not_started  │──────────────┐
│              └──────┬───────┘              v
│  nothing was        │ claim             (final)
│  created            v
├──────────────┌──────────────┐  definite failure   ┌──────────────┐
│              │  submitting  │────────────────────>│ start_failed │
│              └──────┬───────┘          ┌─────────>└──────┬───────┘
│                     │ created          │                 │ new attempt
│              ┌──────v───────┐          │                 v
│              │   created    │──────────┤            not_started
│              └──────┬───────┘          │
│                     │ start            │
│              ┌──────v───────────┐      │
│              │ queued_for_start │──────┘
│              └──────┬───────────┘
│                     │ as the backend says
│              ┌──────v───────┐     ┌─────────┐
│              │    queued    │────>│ running │──> finished, error, canceled (final)
│              └──────────────┘     └─────────┘──> lost: the backend no longer knows it
└── error, start_failed: a new attempt
"""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job: the words of openEO, of openEO's own manager, and two of ours."""

    NOT_STARTED = "not_started"
    """Waits for a slot, or, after a failed attempt, for `not_before`."""
    SUBMITTING = "submitting"
    """The intent is stored; the create request may be in flight, or its outcome unknown."""
    CREATED = "created"
    """The batch job exists and is inert."""
    QUEUED_FOR_START = "queued_for_start"
    """The start was asked for; its outcome is not seen yet."""
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    ERROR = "error"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    """`start_job` returned None."""
    START_FAILED = "start_failed"
    """Could not be created or started, for a definite reason."""
    LOST = "lost"
    """The backend no longer knows the batch job."""


class Actor(StrEnum):
    """Who changes a status."""

    TRACKER = "tracker"
    USER = "user"
    INTERFACE = "interface"


_S = JobStatus

POLLED = frozenset({_S.CREATED, _S.QUEUED_FOR_START, _S.QUEUED, _S.RUNNING})
"""A batch job exists and has not ended: ask the backend."""
ACTIVE = POLLED | {_S.SUBMITTING}
"""Under way; each of these holds a slot unless it waits for a person."""
STARTED = frozenset({_S.QUEUED_FOR_START, _S.QUEUED, _S.RUNNING})
"""Counts under the cap of a backend, as far as we know."""
ENDED = frozenset({_S.FINISHED, _S.ERROR, _S.CANCELED})
"""The batch job has ended, as the backend says."""
FAILED = frozenset({_S.ERROR, _S.START_FAILED, _S.LOST})
"""Ended without a result; a new attempt may help."""
FINAL = ENDED | FAILED | {_S.SKIPPED}
"""Nothing more happens by itself (but for results and hooks)."""
BACKEND_WORDS = frozenset({_S.CREATED, _S.QUEUED, _S.RUNNING, _S.FINISHED, _S.ERROR, _S.CANCELED})
"""The statuses of the openEO API, 1.2.0."""

_OUTCOMES = BACKEND_WORDS - {_S.CREATED}

TRACKER_CHANGES: dict[JobStatus, frozenset[JobStatus]] = {
    _S.NOT_STARTED: frozenset({_S.SUBMITTING, _S.SKIPPED, _S.START_FAILED}),
    _S.SUBMITTING: BACKEND_WORDS | {_S.QUEUED_FOR_START, _S.SKIPPED, _S.START_FAILED, _S.NOT_STARTED},
    _S.CREATED: _OUTCOMES | {_S.QUEUED_FOR_START, _S.START_FAILED, _S.LOST},
    _S.QUEUED_FOR_START: BACKEND_WORDS | {_S.START_FAILED, _S.LOST},
    _S.QUEUED: (BACKEND_WORDS | {_S.LOST}) - {_S.QUEUED},
    _S.RUNNING: (BACKEND_WORDS | {_S.LOST}) - {_S.RUNNING},
    _S.LOST: BACKEND_WORDS,
    _S.FINISHED: ENDED - {_S.FINISHED},
    _S.ERROR: (ENDED - {_S.ERROR}) | {_S.NOT_STARTED},
    _S.CANCELED: ENDED - {_S.CANCELED},
    _S.SKIPPED: frozenset(),
    _S.START_FAILED: frozenset({_S.NOT_STARTED}),
}
"""What the tracker may change by itself."""

_ONLY_A_USER: dict[JobStatus, frozenset[JobStatus]] = {
    _S.NOT_STARTED: frozenset({_S.CANCELED}),
    _S.LOST: frozenset({_S.NOT_STARTED}),
    _S.FINISHED: frozenset({_S.QUEUED, _S.RUNNING, _S.NOT_STARTED}),
    _S.ERROR: frozenset({_S.QUEUED, _S.RUNNING}),
    _S.CANCELED: frozenset({_S.QUEUED, _S.RUNNING, _S.NOT_STARTED}),
    _S.SKIPPED: frozenset({_S.NOT_STARTED}),
}

UPSTREAM_WORDS = {_S.SUBMITTING: _S.NOT_STARTED, _S.LOST: _S.ERROR}
"""How our two words read in the CSV and to openEO's own manager."""


def can_change(old: JobStatus, new: JobStatus, actor: Actor) -> bool:
    """Say whether *actor* may change a status from *old* to *new*; the same status again is no change."""
    if old == new:
        return True
    if actor is Actor.INTERFACE:
        return True
    if new in TRACKER_CHANGES[old]:
        return True
    return actor is Actor.USER and new in _ONLY_A_USER.get(old, ())


def upstream_word(status: JobStatus) -> str:
    """Return the word for *status* that openEO's own manager knows."""
    return UPSTREAM_WORDS.get(status, status).value
