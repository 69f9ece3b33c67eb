"""Watching a campaign through its database, while another process runs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from openeo_jobs.cli.display import Display
from openeo_jobs.errors import DatabaseBusyError
from openeo_jobs.report.rehearsal import Moment, draw_progress, draw_start, list_events, make_moment
from openeo_jobs.storage.store import JobStore, open_store

_INTERVAL_SECONDS = 0.25


class Watch:
    """Looks at the campaign of a database that may not exist yet."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._store: JobStore | None = None
        self._began = time.monotonic()
        self._resources = ExitStack()
        self.last: Moment | None = None
        """What was seen last."""

    def __enter__(self) -> Self:
        """Begin to count the seconds."""
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self._resources.close()

    @property
    def seconds(self) -> float:
        """How long it is watched."""
        return time.monotonic() - self._began

    def follow(self, is_over: Callable[[], bool]) -> None:
        """Show the campaign, and what happens, until *is_over* says so."""
        with Display() as display:
            ended = False
            while not ended:
                ended = is_over()
                with suppress(DatabaseBusyError):  # the next look sees it
                    self._look(display)
                if not ended:
                    time.sleep(_INTERVAL_SECONDS)

    def _look(self, display: Display) -> None:
        moment = self._read()
        if moment is None:
            display.show(draw_start(seconds=self.seconds), seconds=self.seconds)
            return
        display.say(list_events(self.last, moment))
        display.show(draw_progress(moment), seconds=moment.seconds)
        self.last = moment

    def _read(self) -> Moment | None:
        if self._store is None:
            if not self._database.exists():
                return None
            self._store = self._resources.enter_context(open_store(self._database))
        overview, groups = self._store.reports.overview(), self._store.reports.failures()
        if overview is None:
            return None
        return make_moment(overview, groups, before=self.last, seconds=self.seconds)
