"""The fuse of a run: nothing new begins where so many attempts in a row have failed of the same."""

from __future__ import annotations

from datetime import datetime

from openeo_jobs.policy.fuse import Trip, judge_fuse
from openeo_jobs.tracking.run import Run, log


def find_trips(run: Run) -> dict[str, Trip]:
    """Return the backends on which nothing new may begin, and what tripped their fuse.

    Everything is read from the attempts, so that no counter can be wrong. They count from when the
    latest run began, or from when somebody last put a row back in line: who starts a script again, or
    retries, has mended it.
    """
    limit = run.settings.max_failures_in_a_row
    if limit is None:
        return {}
    trips = _find(run, limit, after=None)
    if not trips:
        return {}
    return _find(run, limit, after=run.store.failures.latest_retry())


def tell(run: Run) -> None:
    """Store and log where a fuse has tripped, and where it is closed again."""
    trips = find_trips(run)
    new: dict[str, list[str]] = {}
    for backend in run.store.backends.all():
        trip = trips.get(backend.name)
        is_undecided = trip is not None and trip.message is None  # a reason is still to be fetched
        reason = trip.message if trip is not None else None
        if backend.name not in run.caps or is_undecided or reason == backend.fuse_reason:
            continue
        run.store.backends.record_fuse(backend.name, reason, at=run.now())
        if reason is None:
            log.info("%s: new batch jobs are created again", backend.name)
        elif backend.fuse_reason is None:
            new.setdefault(reason, []).append(backend.name)
    for reason, names in new.items():
        run.stats["fuse tripped"] += 1
        log.error(
            "nothing new is created on %s: %s; what runs is tracked to its end; see: openeo-jobs failures",
            *(", ".join(names), reason),
        )


def find_reasons(run: Run) -> dict[str, str]:
    """Return, by backend, why nothing new begins there until somebody mends it or something succeeds."""
    return {name: trip.message for name, trip in find_trips(run).items() if trip.message is not None}


def _find(run: Run, limit: int, *, after: datetime | None) -> dict[str, Trip]:
    failures = run.store.failures
    of_all = judge_fuse(failures.latest_calls(limit, after=after), limit)
    if of_all is not None:
        return dict.fromkeys(run.caps, _described(of_all, limit, "calls of start_job"))
    trips = {}
    for name in run.caps:
        for select in (failures.latest_creations, failures.latest_runs):
            trip = judge_fuse(select(name, limit, after=after), limit)
            if trip is not None:
                trips[name] = _described(trip, limit, "attempts")
    return trips


def _described(trip: Trip, limit: int, what: str) -> Trip:
    if trip.message is None:
        return trip
    return Trip(message=f"{limit} {what} in a row failed alike, the last one of: {trip.message}")
