"""`openeo-jobs orphans`: batch jobs that no row uses; adopt, disown or delete them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence

from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.cli.adopt import adopt_one, make_asking
from openeo_jobs.cli.campaigns import Place, find_place, open_campaign, read_clock, what_now
from openeo_jobs.cli.console import confirm, tell, tell_document
from openeo_jobs.cli.logins import make_connecting
from openeo_jobs.errors import BackendError, OpenEOJobsError
from openeo_jobs.report.figures import count
from openeo_jobs.report.orphans import draw_orphans, make_orphans_document
from openeo_jobs.storage.orphans import Orphan
from openeo_jobs.storage.reports import Overview
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.deletion import Deletion, delete_orphan


def run(given: Namespace) -> int:
    """Show the orphans, or do what is asked with some of them."""
    place = find_place(given)
    store, overview = open_campaign(place)
    with store:
        if given.adopt is not None:
            return _adopt(store, given.adopt, overview)
        if given.foreign is not None:
            return _disown(store, given.foreign, overview)
        if given.delete is not None:
            return _delete(store, given.delete, overview, is_sure=given.yes)
        return _show(store, place, overview, as_document=given.json)


def _show(store: JobStore, place: Place, overview: Overview, *, as_document: bool) -> int:
    orphans = store.orphans.open()
    if as_document:
        tell_document(make_orphans_document(orphans, database=place.database.absolute()))
    else:
        tell([*draw_orphans(orphans, commands=place.commands), *what_now(overview)])
    return 0


def _adopt(store: JobStore, batch_job_id: str, overview: Overview) -> int:
    [one] = _find(store, [batch_job_id])
    ask = make_asking(store.backends.all(), is_offline=False)
    tell([*adopt_one(store, one.row, one.batch_job_id, one.backend_name, ask), *what_now(overview)])
    return 0


def _disown(store: JobStore, batch_job_ids: Sequence[str], overview: Overview) -> int:
    chosen = _find(store, batch_job_ids)
    store.orphans.disown(chosen, at=read_clock())
    told = f"{count(len(chosen), 'batch job')} declared foreign; nothing was changed on a backend."
    tell([told, *what_now(overview)])
    return 0


def _delete(store: JobStore, batch_job_ids: Sequence[str], overview: Overview, *, is_sure: bool) -> int:
    """Delete the orphans that are named, or all that were never started, one by one."""
    chosen = (
        _find(store, batch_job_ids)
        if batch_job_ids
        else [one for one in store.orphans.open() if one.is_inert]
    )
    if not chosen:
        tell(["No orphan that was never started; nothing to delete.", *what_now(overview)])
        return 0
    _ask(chosen, is_sure=is_sure)
    connect = make_connecting(store.backends.all())
    outcomes = [_delete_one(store, connect, one, is_named=bool(batch_job_ids)) for one in chosen]
    tell(what_now(overview))
    return 0 if all(outcomes) else 1


def _delete_one(
    store: JobStore, connect: Callable[[str], OpenEOGateway], one: Orphan, *, is_named: bool
) -> bool:
    """Delete an orphan, say what came of it, and return whether it is gone."""
    try:
        outcome = delete_orphan(
            store, connect(one.backend_name), one, even_if_started=is_named, at=read_clock()
        )
    except BackendError as error:
        tell([f"{one.batch_job_id} on {one.backend_name}: not deleted: {error}"])
        return False
    tell([f"{one.batch_job_id} on {one.backend_name}: {outcome}"])
    return outcome in (Deletion.DELETED, Deletion.GONE)


def _find(store: JobStore, batch_job_ids: Sequence[str]) -> list[Orphan]:
    orphans = {one.batch_job_id: one for one in store.orphans.open()}
    unknown = [one for one in batch_job_ids if one not in orphans]
    if unknown:
        raise OpenEOJobsError(f"{unknown[0]} is no orphan of this campaign; see: openeo-jobs orphans")
    return [orphans[one] for one in batch_job_ids]


def _ask(chosen: Sequence[Orphan], *, is_sure: bool) -> None:
    """Let a person confirm, who sees what is to be deleted."""
    if is_sure:
        return
    ids = ", ".join(f"{one.batch_job_id} (row {one.row})" for one in chosen[:10])
    what = f"{count(len(chosen), 'batch job')}: {ids}{', ...' if len(chosen) > 10 else ''}"
    confirm("delete", what, otherwise="nothing was deleted")
