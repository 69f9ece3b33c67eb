"""Fetch what is missing of a campaign's results, whether or not its script is run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openeo_jobs.assets import Asset, Offer
from openeo_jobs.errors import UsageError
from openeo_jobs.jobs import Job, ResultsStatus, is_complete
from openeo_jobs.manager import MultiBackendJobManager
from openeo_jobs.running import Call, begin
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.store import JobStore, find_database, open_store
from openeo_jobs.tracking import loop, refetch
from openeo_jobs.tracking.files import is_here
from openeo_jobs.tracking.run import Run
from openeo_jobs.tracking.stopping import Stopper
from openeo_jobs.tracking.vanished import is_deleted

_POLL_SECONDS = 2.0
_GONE = (
    "delete-remote has deleted its batch job on the backend: put a copy of yours back, or compute it anew "
    "(openeo-jobs retry --yes)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What became of the rows whose results were to be fetched, by their numbers.

    `fetched`: they are on disk now, or none are wanted. `missing`: why they are not. `left`: a process that
    runs the campaign has them, or another account.
    """

    fetched: tuple[int, ...] = ()
    missing: Mapping[int, str] = field(default_factory=dict)
    left: tuple[int, ...] = ()


def download(
    path: str | Path,
    connections: Mapping[str, Any | Callable[[], Any]],
    *,
    rows: Iterable[int] = (),
    where: str | None = None,
    root_dir: str | Path | None = None,
    output_path: str | Callable[[Any], str | Path] | None = None,
    assets: str | Callable[[Offer], bool] | None = None,
    tell: Callable[[int, int], None] = lambda here, all_of_them: None,
) -> Downloaded:
    """Fetch the results that are missing of the campaign at *path*: its database, or its CSV or Parquet file.

    *connections* has, by the names of its backends, an `openeo.Connection`, or a callable that makes one.
    Nothing is created, started or canceled, and no hook is called. Fetched are the results of finished rows
    that could not be fetched, or were not yet, or are not on disk any more; of the rows that are named by
    *rows* (numbers, from 1) or *where* (an SQL condition over view `jobs`), also those that were not wanted.

    Files go where they were to go. For rows of which that is not known yet, *root_dir* and *output_path* are
    those of `MultiBackendJobManager`; *root_dir* is, left out, where other rows have theirs. Which files are
    wanted is up to *assets* alone: a filter of the script is not remembered.

    *tell* is called from time to time with how many rows are done, and of how many.

    Raises `UsageError` where that cannot be told, `DatabaseError` for a database that cannot be used.
    """
    database = find_database(path)
    with open_store(database) as store:
        named = store.selections.find(rows=list(rows), where=where) if rows or where is not None else None
        chosen = _choose(store, named)
        if root_dir is None:
            root_dir = _find_root(store, is_free_to_choose=output_path is not None)
        caps = {backend.name: backend.parallel_jobs for backend in store.backends.all()}
    gone = {job.number: _GONE for job in chosen if is_deleted(job)}
    chosen = [job for job in chosen if job.number not in gone]
    if not chosen:
        return Downloaded(missing=gone)
    manager = _Fetcher(_POLL_SECONDS, root_dir, output_path=output_path, assets=assets)
    if not caps.keys() & connections.keys():
        raise UsageError(
            f"no backend of the campaign can be asked: {', '.join(map(repr, caps))}; give connections, by "
            "their names"
        )
    for name in caps.keys() & connections.keys():
        manager.add_backend(name, connections[name], parallel_jobs=caps[name])
    with begin(manager, Call(start_job=_start_nothing, job_db=database, starts_jobs=False)) as run:
        outcome = _fetch(run, chosen, tell)
    return replace(outcome, missing={**gone, **outcome.missing})


class _Fetcher(MultiBackendJobManager):
    """A manager whose rows keep the folders that they have got before."""

    def get_job_dir(self, job_id: str) -> Path:
        """Return the folder in which the files of a batch job are, or were to be."""
        job = self._run.store.jobs.of_batch_job(job_id) if self._run is not None else None
        known = self._run.store.assets.of(job) if self._run is not None and job is not None else []
        return known[0].path.parent if known else super().get_job_dir(job_id)


def _fetch(run: Run, chosen: Sequence[Job], tell: Callable[[int, int], None]) -> Downloaded:
    with Stopper(run.stop, patience_seconds=loop.FAREWELL_SECONDS) as stopper:
        loop.connect_all(run)
        loop.await_logins(run)
        mine = run.store.owners.take(run.runner_id, chosen)
        run.store.assets.record_missing(mine)
        refetch.fetch_all(run, tell=lambda left: tell(len(mine) - left, len(mine)))
        stopper.spare()
        loop.say_farewell(run, patience_seconds=stopper.seconds_left())
    stopper.raise_signal()
    now = run.store.jobs.with_numbers(job.number for job in mine)
    absent = [job for job in chosen if job.backend_name not in run.gateways]
    explained = _explain(run, [*absent, *(job for job in now if not _is_over(job))])
    seen = {job.number for job in now} | explained.keys()
    return Downloaded(
        fetched=tuple(job.number for job in now if _is_over(job)),
        missing=explained,
        left=tuple(job.number for job in chosen if job.number not in seen),
    )


def _is_over(job: Job) -> bool:
    return is_complete(job.status, job.results_status)


def _explain(run: Run, jobs: Sequence[Job]) -> dict[int, str]:
    """Say why results were not fetched."""
    errors = run.store.assets.errors()
    backends = run.store.backends.all(runner_id=run.runner_id)
    paused = {one.name: one.paused_reason for one in backends if one.paused_reason}
    unknown = "there is no connection to its backend"
    return {
        job.number: errors.get(job.number) or paused.get(str(job.backend_name)) or unknown for job in jobs
    }


def _choose(store: JobStore, named: Sequence[int] | None) -> list[Job]:
    """Return the finished rows whose results are not here, of those that are named or of all."""
    finished = store.jobs.of_status([JobStatus.FINISHED])
    if named is not None:
        meant = set(named)
        candidates = [job for job in finished if job.number in meant]
    else:
        candidates = [job for job in finished if job.results_status not in (None, ResultsStatus.NOT_WANTED)]
    files = store.assets.by_attempt()
    return [job for job in candidates if not _has_all(job, _files_of(job, files))]


def _has_all(job: Job, files: Sequence[Asset]) -> bool:
    """Say whether the results of a row are on disk."""
    wanted = [asset for asset in files if asset.is_wanted]
    return job.results_status is ResultsStatus.DOWNLOADED and all(map(is_here, wanted))


def _find_root(store: JobStore, *, is_free_to_choose: bool) -> Path:
    """Return the folder in which other rows have their `job_<id>`."""
    files = store.assets.by_attempt()
    placed = [job for job in store.jobs.of_status([JobStatus.FINISHED]) if _files_of(job, files)]
    if not placed:
        return store.path.parent
    folder = _files_of(placed[-1], files)[0].path.parent
    if folder.name == f"job_{placed[-1].batch_job_id}":
        return folder.parent
    if is_free_to_choose:
        return store.path.parent
    raise UsageError(
        f"row {placed[-1].number} has its files in {folder}; say where those of other rows go, as the script "
        'does: root_dir="..." and output_path="..." (--root-dir, --output-path)'
    )


def _files_of(job: Job, files: Mapping[int, Sequence[Asset]]) -> Sequence[Asset]:
    return files.get(job.attempt.id, ()) if job.attempt is not None else ()


def _start_nothing(row: Any, connection: Any, **_: Any) -> None:
    """Skip a row; it is never called."""
