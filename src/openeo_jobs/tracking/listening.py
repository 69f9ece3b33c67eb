"""How long other runners have been silent, as one hears it who goes on writing beside them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from openeo_jobs.jobs import Runner

BEATS_PER_LEASE = 4


@dataclass(slots=True)
class _Heard:
    heartbeat_at: datetime
    beat: timedelta
    is_live: bool = False
    silence: timedelta = timedelta(0)


class Listener:
    """Counts the silence of other runners since it last saw their heartbeats change, by its own clock.

    The time in a heartbeat says nothing here: clocks differ. Of the time between two writes of the listener
    no more counts than the other one takes for a beat: what kept the listener from writing (sleep, a database
    that another program held) may have kept the other one as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrote_at: datetime | None = None
        self._heard: dict[str, _Heard] = {}

    def note_write(self, *, at: datetime) -> None:
        """Count the time since the write before: the listener could write, and so could the others."""
        with self._lock:
            passed = max(timedelta(0), at - self._wrote_at) if self._wrote_at else timedelta(0)
            self._wrote_at = at
            for one in self._heard.values():
                one.silence += min(passed, one.beat)

    def silence_of(self, runner: Runner) -> timedelta:
        """Return how long *runner*, as it was just read, has been silent: at first sight, not at all."""
        with self._lock:
            known = self._heard.get(runner.uuid)
            if known is None or known.heartbeat_at != runner.heartbeat_at:
                known = _Heard(runner.heartbeat_at, runner.lease / BEATS_PER_LEASE, is_live=known is not None)
                self._heard[runner.uuid] = known
            return known.silence

    def has_heard(self, runner: Runner) -> bool:
        """Say whether a heartbeat of *runner* has ever changed under the eyes of the listener."""
        with self._lock:
            return runner.uuid in self._heard and self._heard[runner.uuid].is_live
