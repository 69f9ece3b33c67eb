"""What a run knows of the files that are on their way; what is true of them is in the database."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from openeo_jobs.assets import Asset, Results
from openeo_jobs.jobs import Job
from openeo_jobs.policy.downloads import MAX_FAILURES, QUEUED_PER_SLOT


@dataclass(slots=True, kw_only=True)
class Transfer:
    """The files of one job: those that are waited for, and what became of the others."""

    job: Job
    folder: Path
    results: Results
    files: dict[int, Asset]
    """By their ids."""
    waiting: set[int] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)
    """Why files could not be had; added to in the threads that fetch them."""
    brings: bool = False
    """Whether something of it has arrived: then a failure is none in a row."""
    is_left: bool = False
    """Whether files were left for later."""
    is_lost: bool = False
    """Whether the job is not ours any more."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is asked for: too much has failed, or it is not ours to ask."""
        return self.is_lost or len(self.errors) >= MAX_FAILURES


@dataclass(slots=True, kw_only=True)
class Transfers:
    """All transfers of a run. At most *limit* files are on their way at a time, *per_backend* of one."""

    limit: int
    per_backend: int
    by_job: dict[int, Transfer] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    """The jobs whose results were asked for, by number."""
    rests_until: datetime | None = None
    """Until when nothing is fetched, as the disk is full."""
    slots: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        """Make as many slots as the limit says."""
        self.slots = threading.BoundedSemaphore(self.limit)

    def keep(self, *, asked: Set[Hashable], files: Set[Hashable]) -> None:
        """Forget what is not under way: it could not be stored when it arrived, and is asked for anew.

        *asked* are the numbers of the jobs, *files* the ids of the files, that are under way.
        """
        self.asked &= asked
        self.by_job = {number: one for number, one in self.by_job.items() if one.waiting <= files}

    def has(self, job: Job) -> bool:
        """Say whether the results of *job* are under way."""
        return job.number in self.by_job or job.number in self.asked

    def has_room(self, *, at: datetime) -> bool:
        """Say whether more results may be asked for: links that wait for long expire."""
        if self.rests_until is not None and at < self.rests_until:
            return False
        queued = len(self.asked) + sum(len(one.waiting) for one in self.by_job.values())
        return queued < QUEUED_PER_SLOT * self.limit
