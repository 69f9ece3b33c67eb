"""What a job database has handed out: every state of every row, and which frames show which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from openeo_jobs.jobs import Job

_TOKEN = "openeo_jobs_hand_out"
_KEPT = 1000
"""Of how many frames that were persisted it is remembered what they show since."""


class HandOuts:
    """The states in which rows were handed out, in order.

    Each frame carries its number in `attrs`, which pandas takes along to copies and parts; what was put
    together from several frames, or came from a file, has none.
    """

    def __init__(self) -> None:
        self._count = 0
        self._states: dict[int, list[tuple[int, Job]]] = defaultdict(list)
        self._renewed: dict[int, tuple[int, dict[int, Job]]] = {}

    def hand_out(self, frame: Any, jobs: Iterable[Job]) -> Any:
        """Note that *frame* shows these *jobs*, and return it."""
        self._note(jobs)
        frame.attrs[_TOKEN] = self._count
        return frame

    def renew(self, frame: Any, jobs: Iterable[Job]) -> None:
        """Note that *frame* was persisted, and so shows these *jobs* now, and the others as before."""
        before = frame.attrs.get(_TOKEN)
        if before is None:
            self._note(jobs)
            return
        self._count += 1
        self._renewed[self._count] = (before, {job.number: job for job in jobs})
        self._renewed.pop(self._count - _KEPT, None)
        frame.attrs[_TOKEN] = self._count

    def is_ours(self, frame: Any) -> bool:
        """Say whether *frame* was handed out as it is, whole or in part."""
        return frame.attrs.get(_TOKEN) is not None

    def state_in(self, frame: Any, number: int) -> Job | None:
        """Return the row as *frame* showed it; where that is not known, as it was last handed out."""
        token = frame.attrs.get(_TOKEN) or self._count
        while token in self._renewed:
            token, jobs = self._renewed[token]
            if number in jobs:
                return jobs[number]
        states = [job for count, job in self._states.get(number, ()) if count <= token]
        return states[-1] if states else None

    def earlier(self, number: int) -> Sequence[Job]:
        """Return the row as it was handed out before it was last."""
        return [job for _, job in self._states.get(number, ())[:-1]]

    def _note(self, jobs: Iterable[Job]) -> None:
        self._count += 1
        for job in jobs:
            states = self._states[job.number]
            if not states or states[-1][1] != job:
                states.append((self._count, job))
