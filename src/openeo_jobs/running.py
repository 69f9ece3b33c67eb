"""One call of `run_jobs`: begin a run, carry it out, end it."""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from openeo_jobs import takeover
from openeo_jobs.arguments import check_start_job, encode, locate, read_seconds
from openeo_jobs.campaign import begin_or_go_on, check_anything_can_run, check_files, check_pins
from openeo_jobs.errors import UsageError
from openeo_jobs.jobs import Backend, Campaign, Table
from openeo_jobs.mirror import Mirror
from openeo_jobs.storage.store import JobStore, open_store_for_run
from openeo_jobs.tracking import loop
from openeo_jobs.tracking.pool import Pool
from openeo_jobs.tracking.run import Run, Settings
from openeo_jobs.tracking.runner import describe_command, make_judge, running
from openeo_jobs.tracking.stopping import Stopper
from openeo_jobs.user_code import ManagersCode, StartJob

if TYPE_CHECKING:
    from openeo_jobs.manager import MultiBackendJobManager

log = logging.getLogger("openeo_jobs")

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The arguments of `run_jobs`."""

    start_job: StartJob | None
    job_db: Any
    output_file: str | Path | None = None
    df: pd.DataFrame | None = None


@contextmanager
def begin(manager: MultiBackendJobManager, call: Call) -> Iterator[Run]:
    """Begin a run of *manager*, or raise before anything is changed; it ends with the `with` block."""
    _check_manager(manager)
    start_job, settings = check_start_job(call.start_job), read_settings(manager)
    location, table = locate(call.job_db, call.output_file), encode(call.df)
    found = takeover.find_campaign_to_take_over(location)
    if found is not None:
        table = takeover.read_campaign(
            found,
            has_hook=manager._find_hooks().__contains__,
            folder_of=lambda one: Path(manager.get_job_dir(one)),
        )
    check_files(location, table)
    if not location.database.exists():
        check_pins(table, manager.backends)
    judge = make_judge(now=now, lease=settings.lease)
    with (
        open_store_for_run(location.database, is_dead=judge) as store,
        running(store, is_dead=judge, now=now, lease=settings.lease) as runner_id,
    ):
        mirror = Mirror(store, location.mirror) if location.mirror is not None else None
        campaign = _begin_or_take_over(store, table, mirror, found)
        if mirror is not None:
            mirror.check()
        check_anything_can_run(store, manager.backends, runner_id=runner_id)
        manager._code = ManagersCode(
            manager, start_job=start_job, campaign=campaign, mirror=mirror, hooks=manager._find_hooks()
        )
        manager._run = _make_run(manager, manager._code, store, campaign, runner_id, settings)
        try:
            yield manager._run
        finally:
            manager._run.pool.close()
            manager._run = manager._code = None


def carry_out(manager: MultiBackendJobManager, run: Run, call: Call) -> dict[str, int]:
    """Do one round after the other until no work is left, or a signal comes; return the counters."""
    job_db = call.job_db if call.job_db is not None else call.output_file

    def do_round() -> None:
        manager._job_update_loop(job_db=job_db, start_job=call.start_job, stats=run.stats)

    with Stopper(run.stop, patience_seconds=loop.FAREWELL_SECONDS) as stopper:
        loop.keep_going(run, do_round)
        stopper.spare()
        loop.say_farewell(run, patience_seconds=stopper.seconds_left())
    loop.tell_left_behind(run)
    if stopper.signal is not None:
        log.warning("stopped; batch jobs go on at their backends. Go on with: %s", describe_command())
    stopper.raise_signal()
    return dict(run.stats)


def _begin_or_take_over(
    store: JobStore, table: Table | None, mirror: Mirror | None, found: Path | None
) -> Campaign:
    mirrors = mirror.described if mirror is not None and found is not None else None
    copy = takeover.keep_copy(found) if found is not None else None
    campaign = begin_or_go_on(store, table, make_uid=lambda: random_text(12), at=now(), mirrors=mirrors)
    if found is not None and copy is not None and table is not None:
        takeover.tell(found, table, copy)
    return campaign


def _check_manager(manager: MultiBackendJobManager) -> None:
    if manager._run is not None:
        raise UsageError("this manager is running jobs already; wait for that, or make a second manager")
    if not manager.backends:
        raise UsageError('run_jobs: no backends; first: manager.add_backend("name", connection=...)')


def _make_run(
    manager: MultiBackendJobManager,
    code: ManagersCode,
    store: JobStore,
    campaign: Campaign,
    runner_id: int,
    settings: Settings,
) -> Run:
    caps = {name: backend.parallel_jobs for name, backend in manager.backends.items()}
    store.backends.register(Backend(name=name, parallel_jobs=cap) for name, cap in caps.items())
    return Run(
        store=store,
        campaign=campaign,
        runner_id=runner_id,
        settings=settings,
        caps=caps,
        user_code=code,
        pool=Pool(),
        now=now,
        make_token=lambda: random_text(5),
        take_chance=random.random,
    )


def read_settings(manager: MultiBackendJobManager) -> Settings:
    """Return the attributes of *manager* that steer a run; users may have changed them."""
    return Settings(
        poll_sleep=read_seconds("poll_sleep", manager.poll_sleep),
        grace=manager._grace,
        lost_after=manager._lost_after,
        lease=manager._lease,
        cancel_running_after=manager._cancel_running_job_after,
        tags_titles=manager._tag_titles,
        downloads_results=manager._download_results,
        max_failures_in_a_row=manager._max_failures_in_a_row,
        max_attempts=manager._max_attempts,
    )


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def random_text(length: int) -> str:
    """Return a text of letters and digits that nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
