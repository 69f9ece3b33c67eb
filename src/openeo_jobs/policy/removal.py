"""Which batch jobs are needed no more on their backends, and which must never be deleted there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from openeo_jobs.errors import BackendError
from openeo_jobs.jobs import ErrorClass, Outcome, ResultsStatus, is_complete
from openeo_jobs.policy.failures import classify
from openeo_jobs.policy.tags import find_tag, has_tag
from openeo_jobs.policy.waiting import backoff
from openeo_jobs.status import ACTIVE, STARTED, JobStatus

PAUSES = 6
"""After so many pauses in a row that brought nothing, a backend is left for the next time."""
LONGEST_PAUSE = timedelta(minutes=15)
"""A backend that asks to wait for longer is left for the next time."""


class Kind(StrEnum):
    """Why a batch job is needed no more."""

    VERIFIED = "verified rows"
    """Its row is complete, and the files are on disk, as they were when they arrived."""
    SUPERSEDED = "superseded attempts"
    """Its row has a later attempt."""
    ORPHAN = "orphans"
    """It was created for a row that does not use it, and never started."""


class Kept(StrEnum):
    """Why a batch job is not deleted."""

    UNDER_WAY = "their rows are under way"
    OWNED = "a process that runs the campaign now owns their rows"
    AWAITED = "a hook of their rows has not returned yet"
    INCOMPLETE = "their rows are not complete, and have no later attempt"
    ONLY_THERE = "no files of their rows are known here: none were wanted, or on_job_done has fetched them"
    LAST_RESULTS = "they are finished, and the later attempts of their rows are not"
    FAILED = "they have failed, and --keep-failed keeps their logs"
    STARTED = "orphans that were started; to delete one all the same: openeo-jobs orphans --delete ID"
    STRAY = "orphans that the database did not know; see: openeo-jobs orphans"
    NOT_OURS = "start_job has only returned them: their titles have no tag of this campaign"
    OF_ANOTHER = "their titles have the tag of another campaign"
    ACTIVE = "they are queued or running on their backend"
    MOVED = "their rows have changed meanwhile"

    FILES = "files of their rows are not here as they were left, or not known; see: openeo-jobs audit --files"
    HIDDEN = "they are another account's, which has to delete them"
    UNPROVEN = "not found, but a part of their backend is away, which may have them"
    STILL_THERE = "their backend said yes, and still has them"


UNWANTED = frozenset({Kept.FILES, Kept.HIDDEN, Kept.UNPROVEN, Kept.STILL_THERE})
"""Why something that should have been deleted was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A row that a batch job was created for, or chosen by, as the row is now."""

    row: int
    status: JobStatus
    results_status: str | None
    owner_id: int | None
    is_current: bool
    """Whether the attempt that chose it is the latest one."""
    is_open: bool
    """Whether that is to be gone on with: results to fetch, a hook to call."""
    attempt_id: int | None = None
    """The attempt that chose it; None for an orphan."""
    backend_status: str | None = None
    has_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A batch job that is on its backend, as far as is known."""

    id: int
    """Its number in the database; the openEO id is `batch_job_id`."""
    backend_name: str
    batch_job_id: str
    outcome: Outcome
    accounts: frozenset[str]
    """Whose it is, as far as is known."""
    uses: tuple[Use, ...]
    is_inert: bool = False
    """Whether it was never started, as far as is known; of orphans."""
    is_stray: bool = False
    """Whether a listing showed it first; of orphans."""

    @property
    def kind(self) -> Kind:
        """Why it may be needed no more."""
        if any(use.attempt_id is None for use in self.uses):
            return Kind.ORPHAN
        return Kind.VERIFIED if any(use.is_current for use in self.uses) else Kind.SUPERSEDED

    @property
    def rows(self) -> tuple[int, ...]:
        """The rows that it has to do with."""
        return tuple(use.row for use in self.uses)

    @property
    def verified_rows(self) -> tuple[int, ...]:
        """The rows whose files have to be here before it is deleted."""
        return tuple(use.row for use in self.uses if use.is_current) if self.kind is Kind.VERIFIED else ()


def find_objection(
    one: Leftover, *, alive: Collection[int | None], keep_failed: bool, word: str | None = None
) -> Kept | None:
    """Say why a batch job is not to be deleted; None where nothing speaks against it, as far as is known.

    *alive* are the runners that run the campaign now, *word* is what its backend says of it, if it was asked.
    """
    if any(use.status in ACTIVE for use in one.uses):
        return Kept.UNDER_WAY
    if any(use.owner_id in alive for use in one.uses if use.owner_id is not None):
        return Kept.OWNED
    if word in STARTED:
        return Kept.ACTIVE
    match one.kind:
        case Kind.ORPHAN:
            return _object_to_orphan(one, word)
        case Kind.VERIFIED:
            return _object_to_current(one)
        case Kind.SUPERSEDED:
            return _object_to_superseded(one, word, keep_failed=keep_failed)


def find_foreignness(one: Leftover, title: str | None, uid: str) -> Kept | None:
    """Say why a batch job with this *title* is not the campaign's to delete; None where it is.

    It is by its tag; or by its id, if that is stored as of one that was created, or adopted, for a row.
    """
    if find_tag(title, uid) is not None:
        return None
    if has_tag(title):
        return Kept.OF_ANOTHER
    return None if one.outcome in _OURS else Kept.NOT_OURS


def is_hidden(one: Leftover, account: str | None) -> bool:
    """Say whether a batch job is known to be another account's than the one that is logged in."""
    return account is not None and bool(one.accounts - {account})


def find_pause(error: BackendError, *, vain: int) -> timedelta | None:
    """Return how long a backend is left in peace after *error*; None: until the command is typed again.

    *vain* counts the pauses in a row after which nothing could be done.
    """
    if classify(error) not in (ErrorClass.LIMIT, ErrorClass.TRANSIENT) or vain >= PAUSES:
        return None
    pause = max(backoff(max(vain, 1), first=_FIRST_PAUSE, chance=0), error.retry_after or timedelta(0))
    return pause if pause <= LONGEST_PAUSE else None


_FIRST_PAUSE = timedelta(seconds=1)
_OURS = frozenset({Outcome.CREATED, Outcome.ADOPTED, Outcome.COPY})


def _object_to_orphan(one: Leftover, word: str | None) -> Kept | None:
    if one.is_stray:
        return Kept.STRAY
    return None if one.is_inert and word in (None, JobStatus.CREATED) else Kept.STARTED


def _object_to_current(one: Leftover) -> Kept | None:
    current = [use for use in one.uses if use.is_current]
    if not all(_is_complete(use) for use in current):
        return Kept.INCOMPLETE
    if any(use.is_open for use in current):
        return Kept.AWAITED
    if any(use.results_status != ResultsStatus.DOWNLOADED for use in current):
        return Kept.ONLY_THERE
    return None


def _object_to_superseded(one: Leftover, word: str | None, *, keep_failed: bool) -> Kept | None:
    words = {word, *(use.backend_status for use in one.uses)}
    if JobStatus.FINISHED in words and not all(_is_complete(use) for use in one.uses):
        return Kept.LAST_RESULTS
    has_failed = word == JobStatus.ERROR or any(use.has_failed for use in one.uses)
    return Kept.FAILED if keep_failed and has_failed else None


def _is_complete(use: Use) -> bool:
    return is_complete(use.status, use.results_status)
