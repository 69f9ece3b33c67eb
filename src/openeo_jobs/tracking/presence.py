"""This process as one of the runners of a campaign: its clock, its id, its judgement of the others."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from openeo_jobs.jobs import Runner
from openeo_jobs.policy.returning import Gap, find_gap
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.listening import Listener


class Clock:
    """The time; whoever reads it notices when nobody has read it for longer than a *lease*.

    The heartbeat reads it every quarter of a lease, whatever the rounds do: a gap means that the whole
    process stood still.
    """

    def __init__(self, read: Callable[[], datetime], *, lease: timedelta) -> None:
        self._read = read
        self._lease = lease
        self._lock = threading.Lock()
        self._last = read()
        self._gap: Gap | None = None

    def now(self) -> datetime:
        """Return the time."""
        with self._lock:
            at = self._read()
            gap = find_gap(self._last, at, lease=self._lease)
            if gap is not None:
                self._gap = gap
            self._last = max(self._last, at)
            return at

    def take_gap(self) -> Gap | None:
        """Return the gap that was noticed, once."""
        self.now()
        with self._lock:
            gap, self._gap = self._gap, None
            return gap


@dataclass(slots=True, kw_only=True)
class Presence:
    """A runner that is registered; when it was taken for dead, it goes on under a new id.

    What it has begun under the old one is refused, as far as somebody else has taken it over.
    """

    store: JobStore
    runner: Runner
    clock: Clock
    is_dead: Callable[[Runner], bool]
    listener: Listener = field(default_factory=Listener)
    runner_id: int = 0

    def begin(self) -> None:
        """Register the runner, under a new id; it is logged in as it was."""
        at = self.clock.now()
        new = replace(self.runner, uuid=uuid.uuid4().hex, heartbeat_at=at)
        self.runner_id = self.store.runners.begin(
            new, is_dead=self.is_dead, at=at, instead_of=self.runner_id or None
        )

    def beat(self) -> None:
        """Say that the runner is alive."""
        self.store.runners.beat(self.runner_id, at=self.clock.now())
        self.listener.note_write(at=self.clock.now())

    def record_round(self) -> bool:
        """Say that the runner does a round; return False if it was taken for dead meanwhile."""
        is_open = self.store.runners.record_round(self.runner_id, at=self.clock.now())
        self.listener.note_write(at=self.clock.now())
        return is_open

    def end(self) -> None:
        """Say that the runner has ended."""
        self.store.runners.end(self.runner_id, at=self.clock.now())
