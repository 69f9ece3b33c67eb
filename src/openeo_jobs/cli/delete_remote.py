"""`openeo-jobs delete-remote`: batch jobs that are needed no more, deleted on their backends."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence

from openeo_jobs.cli.campaigns import Place, find_place, open_campaign, read_clock, what_now
from openeo_jobs.cli.console import confirm, tell
from openeo_jobs.cli.display import Display
from openeo_jobs.cli.logins import make_connecting
from openeo_jobs.errors import BackendError
from openeo_jobs.policy.removal import UNWANTED, Kept, Leftover
from openeo_jobs.report.figures import count
from openeo_jobs.report.removal import draw_plan, draw_removed, list_plan
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.removal import Plan, Removed, Remover, plan
from openeo_jobs.tracking.runner import find_alive


def run(given: Namespace) -> int:
    """Delete what is needed no more; 1 if something could not be deleted."""
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        rows = store.selections.find(where=given.where) if given.where is not None else None
        planned = plan(store, alive=_find_alive(store), rows=rows, keep_failed=given.keep_failed)
        tell(draw_plan(planned.chosen, planned.kept))
        is_doubtful = any(planned.kept[reason] for reason in UNWANTED)
        if given.dry_run:
            tell(["", *list_plan(planned.chosen)] if planned.chosen else [])
        elif planned.chosen:
            _ask(planned, place, given)
            removed = _remove_all(store, planned.chosen, keep_failed=given.keep_failed)
            unwanted = [one for one in removed if _is_unwanted(one)]
            tell(["", *draw_removed(removed, unwanted)])
            is_doubtful = is_doubtful or bool(unwanted)
    tell(what_now(overview))
    return 1 if is_doubtful else 0


def _ask(planned: Plan, place: Place, given: Namespace) -> None:
    """Let a person confirm, who has seen the table."""
    if given.yes:
        return
    options = [*(["--where", given.where] if given.where is not None else [])]
    options += [*(["--keep-failed"] if given.keep_failed else []), "--yes"]
    confirm(
        "delete",
        f"{count(len(planned.chosen), 'batch job')} on their backends",
        otherwise="nothing was deleted",
        command=place.commands.delete_remote(*options),
    )


def _remove_all(store: JobStore, chosen: Sequence[Leftover], *, keep_failed: bool) -> list[Removed]:
    """Delete batch jobs, one backend after the other, and show how far it is, on stderr."""
    began, removed, gone = time.monotonic(), [], 0
    with Display(is_error=True, every_seconds=0.2, plain_every_seconds=30) as display:
        for one in _remove_by_backend(store, chosen, keep_failed=keep_failed):
            removed.append(one)
            gone += one.reason is None
            line = f"{gone:,} of {count(len(chosen), 'batch job')} deleted"
            display.show([line], seconds=time.monotonic() - began)
    return removed


def _remove_by_backend(
    store: JobStore, chosen: Sequence[Leftover], *, keep_failed: bool
) -> Iterator[Removed]:
    campaign = store.campaigns.load()
    assert campaign is not None
    connect = make_connecting(store.backends.all())
    for name in dict.fromkeys(one.backend_name for one in chosen):
        left = {one.id: one for one in chosen if one.backend_name == name}
        try:
            remover = Remover(
                store=store,
                gateway=connect(name),
                uid=campaign.uid,
                keep_failed=keep_failed,
                find_alive=lambda: _find_alive(store),
                now=read_clock,
            )
            for one in remover.remove_all(list(left.values()), sleep=time.sleep):
                del left[one.leftover.id]
                yield one
        except BackendError as error:  # nobody answers there, or there is no login
            yield from (Removed(leftover=one, reason=str(error)) for one in left.values())


def _find_alive(store: JobStore) -> set[int | None]:
    """Return the processes that act on the campaign now, those that only fetch results included."""
    return {runner.id for runner in find_alive(store.runners.open(), now=read_clock)}


def _is_unwanted(one: Removed) -> bool:
    """Say whether it should have been deleted, and was not."""
    return one.reason is not None and (one.reason in UNWANTED or not isinstance(one.reason, Kept))
