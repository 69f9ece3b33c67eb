"""Delete batch jobs on their backends that are needed no more, because a person said so."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import BackendError
from openeo_jobs.jobs import Listing, Observation
from openeo_jobs.policy.failures import pauses_backend
from openeo_jobs.policy.removal import (
    Kept,
    Leftover,
    find_foreignness,
    find_objection,
    find_pause,
    is_hidden,
)
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.deletion import look, suppress_not_found
from openeo_jobs.tracking.verification import verify

AT_A_TIME = 4
"""How many batch jobs of a backend are asked for, and deleted, at once."""
_LISTING_HOLDS = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which batch jobs are to be deleted, and why the others are not."""

    chosen: list[Leftover] = field(default_factory=list)
    kept: Counter[Kept] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What became of a batch job: deleted, or kept for a reason, one of `Kept` or what its backend said."""

    leftover: Leftover
    reason: Kept | str | None = None


def plan(
    store: JobStore, *, alive: Collection[int | None], rows: Collection[int] | None, keep_failed: bool
) -> Plan:
    """Say what is to be deleted of these *rows* (None: of all), as far as the database and the disk tell.

    Of files, sizes alone are compared here.
    """
    safe = {row.number for row in store.complete.all() if verify(row, reads=False).is_safe}
    wanted = set(rows) if rows is not None else None
    planned = Plan()
    for one in store.removals.all():
        if wanted is not None and not wanted.issuperset(one.rows):
            continue
        objection = find_objection(one, alive=alive, keep_failed=keep_failed)
        if objection is None and not safe.issuperset(one.verified_rows):
            objection = Kept.FILES
        if objection is None:
            planned.chosen.append(one)
        else:
            planned.kept[objection] += 1
    return planned


@dataclass(slots=True, kw_only=True)
class Remover:
    """Deletes batch jobs of the campaign *uid* on one backend; *find_alive* returns who runs it now."""

    store: JobStore
    gateway: Gateway
    uid: str
    keep_failed: bool
    find_alive: Callable[[], Collection[int | None]]
    now: Callable[[], datetime]
    _account: str | None = None
    _stopped: Event = field(default_factory=Event)
    _listed: tuple[datetime, Listing] | None = None

    def remove_all(
        self, chosen: Sequence[Leftover], *, sleep: Callable[[float], object]
    ) -> Iterator[Removed]:
        """Delete batch jobs, a few at a time, and rest where the backend asks for it.

        Each one that is gone is stored before the next few are begun: what is killed goes on when it is
        started again.
        """
        self._account = self.gateway.get_account()
        with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="openeo-jobs delete") as pool:
            try:
                yield from self._remove_in_turn(pool, deque(chosen), sleep)
            finally:
                self._stopped.set()

    def _remove_in_turn(
        self, pool: ThreadPoolExecutor, waiting: deque[Leftover], sleep: Callable[[float], object]
    ) -> Iterator[Removed]:
        vain = 0
        while waiting:
            few = [waiting.popleft() for _ in range(min(AT_A_TIME, len(waiting)))]
            refused: list[tuple[Leftover, BackendError]] = []
            for one, outcome in zip(few, pool.map(self._try, few), strict=True):
                if isinstance(outcome, BackendError):
                    refused.append((one, outcome))
                else:
                    yield Removed(leftover=one, reason=outcome)
            if refused:
                vain = vain + 1 if len(refused) == len(few) else 0
                waiting.extendleft(one for one, _ in reversed(refused))
                error = max((error for _, error in refused), key=_asks_to_wait)
                pause = find_pause(error, vain=vain)
                if pause is None:
                    yield from (Removed(leftover=one, reason=str(error)) for one in waiting)
                    return
                sleep(pause.total_seconds())

    def _try(self, one: Leftover) -> Kept | str | BackendError | None:
        """Delete one; return what it was kept for, or the error for which its backend is left in peace."""
        try:
            return self._remove(one)
        except BackendError as error:
            return error if pauses_backend(error) else str(error)

    def _remove(self, one: Leftover) -> Kept | None:
        if is_hidden(one, self._account):
            return Kept.HIDDEN
        seen = look(self.gateway, one.batch_job_id)
        if seen is None:
            return self._conclude_absent(one)
        objection = self._object(one, seen)
        if objection is not None:
            return objection
        self._keep_costs(one, seen)
        with suppress_not_found():  # somebody else was quicker
            self.gateway.delete(one.batch_job_id)
        if look(self.gateway, one.batch_job_id) is not None:
            return Kept.STILL_THERE
        self.store.removals.record_deleted(one.id, at=self.now())
        return None

    def _object(self, one: Leftover, seen: Observation) -> Kept | None:
        """Say what speaks against the deletion, also after the files were read, which may take long."""
        objection = find_foreignness(one, seen.title, self.uid) or self._judge(one, seen.status)
        if objection is not None or not one.verified_rows:
            return objection
        if not all(self._is_safe(row) for row in one.verified_rows):
            return Kept.FILES
        return self._judge(one, seen.status)

    def _judge(self, one: Leftover, word: str) -> Kept | None:
        """Judge a batch job of which its backend says *word*, by what the database says of it now."""
        now = self.store.removals.one(one.id)
        if now is None or (now.kind, now.rows) != (one.kind, one.rows):
            return Kept.MOVED
        return find_objection(now, alive=self.find_alive(), keep_failed=self.keep_failed, word=word)

    def _is_safe(self, row: int) -> bool:
        complete = self.store.complete.one(row)
        return complete is not None and verify(complete, goes_on=self._goes_on).is_safe

    def _goes_on(self) -> bool:
        return not self._stopped.is_set()

    def _conclude_absent(self, one: Leftover) -> Kept | None:
        """Store that a batch job is gone, unless it may be another account's, or where a part is away."""
        others = self._account is not None and not one.accounts
        if others and self.store.logins.count_others(self.gateway.name, str(self._account)):
            return Kept.HIDDEN
        if self._list().is_part_missing:
            return Kept.UNPROVEN
        self.store.removals.record_deleted(one.id, at=self.now())
        return None

    def _list(self) -> Listing:
        """Return a listing of now, or of a moment ago."""
        if self._listed is None or self.now() - self._listed[0] > _LISTING_HOLDS:
            self._listed = (self.now(), self.gateway.list_batch_jobs())
        return self._listed[1]

    def _keep_costs(self, one: Leftover, seen: Observation) -> None:
        """Store costs that were not known before: nobody can be asked for them any more."""
        attempts = [use.attempt_id for use in one.uses if use.attempt_id is not None]
        if seen.costs is not None and attempts:
            self.store.costs.record_last(attempts, seen.costs, seen.usage)


def _asks_to_wait(error: BackendError) -> timedelta:
    return error.retry_after or timedelta(0)
