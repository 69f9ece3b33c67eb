"""Fetch results: ask which files there are, fetch each, write the document that describes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from openeo_jobs.assets import RESULTS_FILENAME, Asset, AssetState, Fetched, Offer, Part, Results
from openeo_jobs.backends.fetching import Terms
from openeo_jobs.backends.filenames import part_of
from openeo_jobs.backends.gateway import Gateway
from openeo_jobs.errors import (
    BackendError,
    DatabaseError,
    DownloadInterruptedError,
    JobMovedError,
    UsageError,
)
from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.policy.downloads import (
    is_disk_full,
    keeps_what_is_there,
    next_download,
    plan_files,
    results_of,
    version_to_continue,
)
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import files, poller, vanished
from openeo_jobs.tracking.pool import Done
from openeo_jobs.tracking.run import Run, log, say_length
from openeo_jobs.tracking.transfers import Transfer

_DISK_FULL = ("disk full",)
_DISK_FULL_SECONDS = 60.0
"""How long downloads rest at least when the disk is full."""


def ask_results(run: Run, job: Job) -> None:
    """Ask for the results of a finished job, in a thread."""
    try:
        metadata_path = run.user_code.metadata_path(job)
    except Exception as error:  # an override of the user's
        try_again(run, job, error, what="results")
        return
    if job.results_status is not ResultsStatus.DOWNLOADING:
        run.store.endings.record_downloading(job)
    if run.ask("results", job, lambda gateway, one: files.ask_results(gateway, one, metadata_path)):
        run.transfers.asked.add(job.number)


def record_results(run: Run, results: Sequence[Done]) -> None:
    """Store which files the results of jobs have, and begin to fetch those that are not here."""
    for done in results:
        job: Job = done.subject
        run.transfers.asked.discard(job.number)
        try:
            if done.error is not None:
                _fail(run, job, done.error)
            else:
                _begin(run, job, done.value)
        except JobMovedError as error:
            log.info("%s", error)


def record_files(run: Run, results: Sequence[Done]) -> None:
    """Store which files have arrived, and what becomes of jobs of which no more is waited for."""
    by_job: dict[int, list[Done]] = {}
    for done in results:
        by_job.setdefault(done.subject[0], []).append(done)
    for number, of_job in by_job.items():
        transfer = run.transfers.by_job.get(number)
        if transfer is None:
            continue
        try:
            _record_files(run, transfer, of_job)
        except JobMovedError as error:
            transfer.is_lost = True
            run.transfers.by_job.pop(number, None)
            log.info("%s", error)


def check_files(run: Run) -> None:
    """Find results that were on disk and are not any more; they are fetched again.

    Where the hook is the user's, it may have moved them: they are its business.
    """
    if run.user_code.has_hook(JobStatus.FINISHED) or not run.settings.downloads_results:
        return
    missing = [job for job, assets in run.store.assets.downloaded(run.runner_id) if not _is_here(assets)]
    missing = vanished.tell(missing)
    if missing:
        log.warning("the results of %d finished rows are not on disk; they are fetched again", len(missing))
        run.store.assets.record_missing(missing)


def try_again(run: Run, job: Job, error: Exception, *, what: str, is_stuck: bool = True) -> bool:
    """Store that something could not be fetched; return whether it is tried again in this run.

    *is_stuck* says whether the try has brought nothing.
    """
    at = run.now()
    paused_until = run.pause(str(job.backend_name), error)
    # A backend that is paused fails no row: such a try does not count.
    tries = (job.results_tries if is_stuck else 0) + (paused_until is None and is_stuck)
    again_at = paused_until or next_download(
        tries,
        at=at,
        poll_sleep=run.settings.poll_sleep,
        retry_after=error.retry_after if isinstance(error, BackendError) else None,
    )
    level = log.info if again_at else log.error
    level("row %d: %s not fetched (try %d): %s", job.number, what, max(tries, 1), error)
    run.store.endings.record_download_failed(job, message=str(error), tries=tries, again_at=again_at)
    return again_at is not None


def _begin(run: Run, job: Job, results: Results) -> None:
    """Store which files there are, and fetch those that are wanted and not here."""
    gateway = run.gateways.get(str(job.backend_name))
    if gateway is None:  # it is logged in to anew; the results are asked for again then
        return
    known = run.store.assets.of(job)
    try:
        folder = _folder_of(run, job)
        folder.mkdir(parents=True, exist_ok=True)
        planned = plan_files(
            results.offers,
            folder=folder,
            wants=run.user_code.wants_file,
            known=known,
            is_here=files.is_here,
        )
    except Exception as error:  # the disk, an override or a filter of the user's
        _fail(run, job, error)
        return
    try:
        assets = run.store.assets.record_plan(job, planned, expires_at=results.expires_at)
    except UsageError as error:  # a file of another row
        _fail(run, job, error)
        return
    by_id = {asset.id: asset for asset in assets if asset.id is not None}
    transfer = Transfer(job=job, folder=folder, results=results, files=by_id)
    run.transfers.by_job[job.number] = transfer
    _submit(run, transfer, gateway)
    if not transfer.waiting:
        _conclude(run, transfer)


def _submit(run: Run, transfer: Transfer, gateway: Gateway) -> None:
    """Fetch the files of a job that are not here, several at a time; those that have failed come last."""
    name = str(transfer.job.backend_name)
    offers = {offer.name: offer for offer in transfer.results.offers}
    for id_, asset in sorted(transfer.files.items(), key=lambda one: one[1].state is AssetState.FAILED):
        if not asset.is_settled:
            run.pool.submit(
                "file",
                lane=f"file {name}",
                key=id_,
                subject=(transfer.job.number, id_),
                function=partial(_fetch, run, transfer, gateway, offers[asset.name], asset),
                threads=run.transfers.per_backend,
            )
            transfer.waiting.add(id_)


def _fetch(run: Run, transfer: Transfer, gateway: Gateway, offer: Offer, asset: Asset) -> Fetched:
    """Fetch one file, once one may be on its way; in a thread of the pool."""
    boot_id, id_, job = run.presence.runner.boot_id, asset.id, transfer.job
    assert id_ is not None

    def begins(version: str | None, size: int | None) -> None:
        part = Part(version=version, boot_id=boot_id) if version is not None else None
        try:
            run.store.assets.record_part(job, id_, part, size=size)
        except (DatabaseError, JobMovedError) as error:  # what a part holds has to be known beforehand
            raise DownloadInterruptedError(str(error)) from error

    def ends() -> None:
        try:
            is_ours = run.store.owners.holds(job)
        except DatabaseError as error:
            raise DownloadInterruptedError(str(error)) from error
        if not is_ours:
            raise DownloadInterruptedError(f"row {job.number} is another process's by now")

    with run.transfers.slots:
        if transfer.is_over or run.stopping.is_set():
            raise DownloadInterruptedError(f"{asset.path.name} is fetched later")
        before = _size_of_part(asset)
        terms = Terms(
            version=version_to_continue(asset, boot_id=boot_id),
            size=asset.announced_size,
            keeps=keeps_what_is_there(asset),
            begins=begins,
            ends=ends,
            goes_on=lambda: not run.stopping.is_set(),
        )
        try:
            return files.fetch(gateway, offer, asset, terms)
        except DownloadInterruptedError:
            raise
        except Exception as error:
            transfer.errors.append(error)
            raise
        finally:
            transfer.brings = transfer.brings or _size_of_part(asset) > before


def _record_files(run: Run, transfer: Transfer, results: Sequence[Done]) -> None:
    results = [done for done in results if done.subject[1] in transfer.waiting]
    fetched = {done.subject[1]: done.value for done in results if done.error is None}
    missing = {done.subject[1]: done.error for done in results if done.error is not None}
    left = {id_ for id_, error in missing.items() if isinstance(error, DownloadInterruptedError)}
    failed = {id_: str(error) for id_, error in missing.items() if id_ not in left}
    if fetched or failed:
        run.store.assets.record_fetched(transfer.job, fetched, failed, at=run.now())
    transfer.waiting -= fetched.keys() | missing.keys()
    transfer.brings = transfer.brings or bool(fetched)
    transfer.is_left = transfer.is_left or bool(left)
    # Also those of files that were on their way for a transfer that was forgotten.
    transfer.errors += [missing[id_] for id_ in failed if missing[id_] not in transfer.errors]
    if not transfer.waiting:
        _conclude(run, transfer)


def _conclude(run: Run, transfer: Transfer) -> None:
    """Store that all files of a job are here, or when the missing ones are asked for again."""
    del run.transfers.by_job[transfer.job.number]
    if transfer.errors:
        first = next(filter(is_disk_full, transfer.errors), transfer.errors[0])
        _fail(run, transfer.job, first, is_stuck=not transfer.brings)
    elif not transfer.is_left:
        _settle(run, transfer)


def _settle(run: Run, transfer: Transfer) -> None:
    job, here = transfer.job, run.store.assets.of(transfer.job)
    if not all(asset.is_settled for asset in here):  # the results are asked for again
        return
    try:
        files.write_document(transfer.folder, transfer.results, here)
    except OSError as error:
        _fail(run, job, error)
        return
    status = results_of(here)
    run.store.assets.record_settled(job, status)
    run.stats["job download"] += status is ResultsStatus.DOWNLOADED
    run.logged.discard(_DISK_FULL)


def _fail(run: Run, job: Job, error: Exception, *, is_stuck: bool = True) -> None:
    if is_disk_full(error):
        _rest(run, job, error)
        return
    try_again(run, job, error, what="results", is_stuck=is_stuck)
    poller.ask_again(run, [job])  # perhaps it has not finished after all


def _rest(run: Run, job: Job, error: Exception) -> None:
    """Fetch nothing for a while, as the disk is full; that counts as no try."""
    wait = max(run.settings.poll_sleep, timedelta(seconds=_DISK_FULL_SECONDS))
    run.transfers.rests_until = again_at = run.now() + wait
    run.log_once(
        _DISK_FULL,
        "downloads wait, as the disk is full: row %d: %s; make room, tried again every %s",
        *(job.number, error, say_length(wait)),
    )
    tries = job.results_tries
    run.store.endings.record_download_failed(job, message=str(error), tries=tries, again_at=again_at)


def _folder_of(run: Run, job: Job) -> Path:
    return run.user_code.job_folder(job).absolute()


def _is_here(assets: Sequence[Asset]) -> bool:
    """Say whether files are where they were left, and the document that describes them."""
    documents = {asset.path.with_name(RESULTS_FILENAME) for asset in assets}
    return all(map(Path.exists, documents)) and all(map(files.is_here, assets))


def _size_of_part(asset: Asset) -> int:
    try:
        return part_of(asset.path).stat().st_size
    except OSError:
        return 0
