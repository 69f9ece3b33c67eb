"""The database cannot be used for now: told once, tried again after a while, told when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from openeo_jobs.errors import DatabaseUnavailableError
from openeo_jobs.policy.waiting import SHORTEST, backoff
from openeo_jobs.tracking.run import Run, log, say_length

_FIRST = timedelta(seconds=1)
_LONGEST = timedelta(minutes=1)


class Trouble:
    """What a run says of the database, and how long it waits: nothing leaves meanwhile that is not stored."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._since: datetime | None = None
        self._in_a_row = 0

    def tell(self, error: DatabaseUnavailableError) -> timedelta:
        """Log *error* the first time in a row; return how long to wait until the next round."""
        if self._since is None:
            self._since = self._run.now()
            log.error("%s; this run waits, creates nothing, and tries again until it can go on", error)
        self._in_a_row += 1
        first = max(SHORTEST, min(_FIRST, self._run.settings.poll_sleep))
        return backoff(self._in_a_row, first=first, longest=_LONGEST, chance=self._run.take_chance())

    def end(self) -> None:
        """Log that the database can be used again, if it could not."""
        if self._since is not None:
            log.warning("the database can be used again after %s", say_length(self._run.now() - self._since))
        self._since, self._in_a_row = None, 0
