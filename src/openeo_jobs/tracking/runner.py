"""This process as a runner: who it is, whether another one is dead, and its heartbeat."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from openeo_jobs.errors import DatabaseError
from openeo_jobs.jobs import Runner
from openeo_jobs.policy.ownership import Sighting, is_dead
from openeo_jobs.storage.store import JobStore
from openeo_jobs.tracking.listening import BEATS_PER_LEASE, Listener
from openeo_jobs.tracking.presence import Clock, Presence


def describe_runner(*, at: datetime) -> Runner:
    """Describe this process."""
    return Runner(
        uuid=uuid.uuid4().hex,
        host=platform.node(),
        boot_id=_boot_id(),
        pid_namespace=_pid_namespace(),
        pid=os.getpid(),
        process_started_at=_own_start(),
        started_at=at,
        command=_command(),
        folder=str(Path.cwd()),
        heartbeat_at=at,
    )


def describe_command() -> str:
    """Return what to type to start this process again."""
    return f"cd {shlex.quote(str(Path.cwd()))} && {_command()}"


def make_judge(silence_of: Callable[[Runner], timedelta]) -> Callable[[Runner], bool]:
    """Return a judge that says whether a runner is dead, as seen from this process."""

    def judge(runner: Runner) -> bool:
        try:
            started_at, can_see = _process_started_at(runner.pid), True
        except (psutil.AccessDenied, PermissionError):
            started_at, can_see = None, False
        sighting = Sighting(
            boot_id=_boot_id(),
            pid_namespace=_pid_namespace(),
            process_started_at=started_at,
            can_see=can_see,
        )
        return is_dead(runner, sighting, silence=silence_of(runner))

    return judge


def make_hasty_judge(now: Callable[[], datetime]) -> Callable[[Runner], bool]:
    """Return a judge for who looks once, and cannot wait for a heartbeat to change.

    All that it has are the times in the database: where clocks differ by more than a lease, it errs.
    """
    return make_judge(lambda runner: now() - runner.heartbeat_at)


def find_alive(runners: Iterable[Runner], *, now: Callable[[], datetime]) -> list[Runner]:
    """Return those of *runners* that seem to be alive, to who looks once."""
    is_dead = make_hasty_judge(now)
    return [runner for runner in runners if not is_dead(runner)]


@contextmanager
def running(
    store: JobStore,
    *,
    is_dead: Callable[[Runner], bool],
    listener: Listener,
    clock: Clock,
    lease: timedelta,
) -> Iterator[Presence]:
    """Be a runner of the campaign: registered, with a heartbeat every quarter of a lease."""
    me = replace(describe_runner(at=clock.now()), lease=lease)
    presence = Presence(store=store, runner=me, clock=clock, is_dead=is_dead, listener=listener)
    presence.begin()
    ended = threading.Event()
    thread = threading.Thread(
        target=_keep_beating,
        args=(presence, max(0.1, lease.total_seconds() / BEATS_PER_LEASE), ended),
        name="openeo-jobs heartbeat",
        daemon=True,
    )
    thread.start()
    try:
        yield presence
    finally:
        ended.set()
        thread.join(timeout=1)
        with suppress(DatabaseError):  # then the next run sees that this process is gone
            presence.end()


def _keep_beating(presence: Presence, interval: float, ended: threading.Event) -> None:
    while not ended.wait(interval):
        with suppress(DatabaseError):  # the next beat, or the next round, says it
            presence.beat()


def _command() -> str:
    """Return the command of this process, with `python` where that is what its shell finds."""
    program = Path(sys.executable)
    found = next((name for name in ("python", program.name) if shutil.which(name) == str(program)), program)
    return shlex.join([str(found), *sys.argv])


def _boot_id() -> str:
    linux = Path("/proc/sys/kernel/random/boot_id")
    try:
        return linux.read_text().strip()
    except OSError:
        return f"{platform.node()} {psutil.boot_time():.0f}"


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _own_start() -> str:
    """Return when this process started; nothing where it is not in /proc, as that is of another namespace."""
    with suppress(PermissionError):
        return _process_started_at(os.getpid()) or ""
    return ""


def _process_started_at(pid: int) -> str | None:
    """Return when the process of *pid* started, as text that equals only itself; None: no such process."""
    if Path("/proc/self/stat").exists():
        return _started_at_on_linux(pid)
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def _started_at_on_linux(pid: int) -> str | None:
    """Return the start in clock ticks since the boot (proc(5), field 22): no change of the clock moves it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        _check_gone(pid)
        return None
    except ProcessLookupError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _check_gone(pid: int) -> None:
    """Raise `PermissionError` if a process that is not in /proc is hidden (proc(5), hidepid) and not gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        raise PermissionError(f"process {pid} is hidden")
