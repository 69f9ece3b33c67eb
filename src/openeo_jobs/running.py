"""One call of `run_jobs`: begin a run, carry it out, end it."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openeo_jobs.arguments import check_start_job, read_seconds
from openeo_jobs.campaign.beginning import (
    Given,
    begin_or_go_on,
    check_anything_can_run,
    check_pins,
    prepare,
)
from openeo_jobs.campaign.importing import settle_endings
from openeo_jobs.campaign.locations import locate
from openeo_jobs.campaign.tokens import make_token
from openeo_jobs.errors import UsageError
from openeo_jobs.jobs import Backend, Campaign
from openeo_jobs.storage.store import JobStore, open_store_for_run
from openeo_jobs.subclassing import overrides_round
from openeo_jobs.tracking import loop, owners
from openeo_jobs.tracking.listening import Listener
from openeo_jobs.tracking.pool import Pool
from openeo_jobs.tracking.presence import Clock, Presence
from openeo_jobs.tracking.run import Run, Settings
from openeo_jobs.tracking.runner import describe_command, make_hasty_judge, make_judge, running
from openeo_jobs.tracking.stopping import Stopper
from openeo_jobs.user_code import ManagersCode, StartJob

if TYPE_CHECKING:
    from openeo_jobs.manager import MultiBackendJobManager

log = logging.getLogger("openeo_jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The arguments of `run_jobs`."""

    start_job: StartJob | None
    job_db: Any
    output_file: str | Path | None = None
    given: Given = field(default_factory=Given)
    starts_jobs: bool = True


@contextmanager
def begin(manager: MultiBackendJobManager, call: Call) -> Iterator[Run]:
    """Begin a run of *manager*, or raise before anything is changed; it ends with the `with` block."""
    _check_manager(manager)
    start_job, settings = check_start_job(call.start_job), read_settings(manager)
    location = locate(call.job_db, call.output_file, root_dir=manager._root_dir)
    beginning = prepare(location, call.given)
    if not location.is_begun:
        check_pins(beginning.table, manager.backends)
    if beginning.table is not None and manager._layout is not None:
        manager._layout.check(beginning.table.columns, (one.params for one in beginning.table.jobs))
    clock = Clock(now, lease=settings.lease)
    listener, hasty = Listener(), make_hasty_judge(clock.now)
    judge = make_judge(listener.silence_of) if call.starts_jobs else hasty
    with (
        open_store_for_run(location.database, is_dead=hasty) as store,
        running(store, is_dead=judge, listener=listener, clock=clock, lease=settings.lease) as presence,
    ):
        campaign, mirror = begin_or_go_on(store, location, call.given, beginning, at=now())
        if manager._layout is not None:
            manager._layout.check(campaign.columns, (one.params for one in store.jobs.all()))
        code = ManagersCode(
            manager,
            start_job=start_job,
            campaign=campaign,
            load_campaign=store.campaigns.load,
            find_job=store.jobs.of_batch_job,
            mirror=mirror,
            hooks=manager._find_hooks(),
        )
        try:
            manager._code = code
            settle_endings(store, has_hook=code.has_hook, folder_of=code.job_folder, at=now())
            if call.starts_jobs:
                check_anything_can_run(store, manager.backends, runner_id=presence.runner_id)
            manager._run = _make_run(manager, code, store, campaign, presence, settings)
            yield manager._run
        finally:
            if manager._run is not None:
                manager._run.stop()  # what its threads have not begun does not begin any more
                manager._run.pool.close()
            manager._run = manager._code = None


def carry_out(manager: MultiBackendJobManager, run: Run, call: Call) -> dict[str, int]:
    """Do one round after the other until no work is left, or a signal comes; return the counters."""
    job_db = _find_job_db(manager, call)

    def do_round() -> None:
        manager._job_update_loop(job_db=job_db, start_job=call.start_job, stats=run.stats)

    with Stopper(run.stop, patience_seconds=loop.FAREWELL_SECONDS) as stopper:
        loop.keep_going(run, do_round)
        stopper.spare()
        loop.say_farewell(run, patience_seconds=stopper.seconds_left())
    loop.tell_left_behind(run)
    if stopper.signal is not None:
        log.warning("stopped; batch jobs go on at their backends. %s", _who_goes_on(run))
    stopper.raise_signal()
    return dict(run.stats)


def _who_goes_on(run: Run) -> str:
    """Say who acts on the campaign once this run has ended."""
    others = owners.find_others(run)
    if others:
        return f"The campaign goes on in {', '.join(map(owners.describe, others))}"
    return f"Nothing runs this campaign now. Go on with: {describe_command()}"


def _find_job_db(manager: MultiBackendJobManager, call: Call) -> Any:
    """Return what an override of `_job_update_loop` gets: a job database, also where a path was given."""
    given = call.job_db if call.job_db is not None else call.output_file
    if not isinstance(given, (str, Path)) or not overrides_round(manager):
        return given
    return import_module("openeo_jobs.job_db").get_job_db(given)


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
    presence: Presence,
    settings: Settings,
) -> Run:
    caps = {name: backend.parallel_jobs for name, backend in manager.backends.items()}
    store.backends.register(Backend(name=name, parallel_jobs=cap) for name, cap in caps.items())
    return Run(
        store=store,
        campaign=campaign,
        presence=presence,
        settings=settings,
        caps=caps,
        user_code=code,
        pool=Pool(),
        news_mark=store.news.mark(),
        make_token=make_token,
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
        max_downloads=manager._max_downloads,
        max_downloads_per_backend=manager._max_downloads_per_backend,
        max_failures_in_a_row=manager._max_failures_in_a_row,
        max_attempts=manager._max_attempts,
        hook_workers=manager._hook_workers,
    )


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
