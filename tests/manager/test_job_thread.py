"""A run in the background: its handle, its end, and an interpreter that can always exit."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from campaigning import make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.errors import UsageError

pytestmark = pytest.mark.wheel


@pytest.fixture
def database(make_manager, north, tmp_path: Path) -> Path:
    """Return a campaign of four rows that was interrupted before the first."""

    def interrupt(row, connection, **kwargs):
        raise KeyboardInterrupt

    path = tmp_path / "jobs.sqlite"
    with pytest.raises(KeyboardInterrupt):
        make_manager(north).run_jobs(make_rows(4), interrupt, path)
    return path


class Gate:
    """A callback that says when it is called, and waits until it may go on."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def start_job(self, row, connection, **kwargs):
        self.reached.set()
        assert self.opened.wait(30)
        return start_job(row, connection)


def test_a_thread_runs_the_campaign_to_its_end(make_manager, north, database: Path) -> None:
    manager = make_manager(north)
    handle = manager.start_job_thread(start_job, database)
    assert manager._thread is handle.thread
    stats = handle.wait(60)
    assert (handle.alive, handle.exception) == (False, None)
    assert stats["job finished"] == handle.stats["job finished"] == 4
    assert query(database, "SELECT DISTINCT status, results_status FROM jobs") == [("finished", "downloaded")]


def test_stopping_returns_in_time_and_nothing_new_begins(make_manager, north, database: Path) -> None:
    gate = Gate()
    manager = make_manager(north)
    handle = manager.start_job_thread(gate.start_job, database)
    assert gate.reached.wait(30)
    manager.stop_job_thread(timeout_seconds=0.1)
    assert handle.alive
    before = len(north.requests("POST", "^/jobs"))
    gate.opened.set()
    handle.wait(30)
    assert [request.path for request in north.requests("POST", "^/jobs")[before:]] == ["/jobs"]
    assert query(database, "SELECT status, count(*) FROM jobs GROUP BY 1 ORDER BY 1") == [
        *(("created", 1), ("not_started", 3))
    ]


def test_starting_twice_returns_the_run_that_is_alive(make_manager, north, database: Path) -> None:
    gate = Gate()
    manager = make_manager(north)
    handle = manager.start_job_thread(gate.start_job, database)
    assert manager.start_job_thread(gate.start_job, database) is handle
    with pytest.raises(TimeoutError, match="goes on"):
        handle.wait(0.01)
    with pytest.raises(UsageError, match="running jobs already"):
        manager.run_jobs(None, start_job, database)
    gate.opened.set()
    assert handle.stop(30)
    again = manager.start_job_thread(start_job, database)
    assert again is not handle
    again.wait(60)


def test_what_cannot_begin_raises_where_it_is_started(make_manager, north, tmp_path: Path) -> None:
    manager = make_manager(north)
    with pytest.raises(UsageError, match="does not exist yet"):
        manager.start_job_thread(start_job, tmp_path / "jobs.sqlite")
    assert not manager._thread.is_alive()


def test_what_ends_a_run_is_told_by_its_handle(make_manager, north, database: Path, caplog) -> None:
    class Broken(MultiBackendJobManager):
        def _job_update_loop(self, job_db, start_job, stats=None):
            raise LookupError("my own loop")

    handle = make_manager(north, cls=Broken).start_job_thread(start_job, database)
    with pytest.raises(LookupError, match="my own loop"):
        handle.wait(30)
    assert isinstance(handle.exception, LookupError)
    assert "the run in the background has ended: LookupError: my own loop" in caplog.text


def test_a_hook_may_stop_its_own_thread(make_manager, north, database: Path) -> None:
    class Once(MultiBackendJobManager):
        def on_job_done(self, job, row):
            self.stop_job_thread()

    handle = make_manager(north, cls=Once, parallel_jobs=1).start_job_thread(start_job, database)
    handle.wait(30)
    finished = query(database, "SELECT count(*) FROM jobs WHERE status = 'finished'")[0][0]
    assert 1 <= finished < 4


def test_stopping_what_was_never_started_says_so(make_manager, north, caplog) -> None:
    make_manager(north).stop_job_thread()
    assert "no job thread to stop" in caplog.text


def test_an_interpreter_can_exit_while_a_callback_never_returns(north, database: Path) -> None:
    program = textwrap.dedent(f"""
        import threading, openeo
        from openeo_jobs import MultiBackendJobManager

        reached = threading.Event()

        def start_job(row, connection, **kwargs):
            reached.set()
            threading.Event().wait()

        manager = MultiBackendJobManager(poll_sleep=0.05, root_dir={str(database.parent)!r})
        manager.add_backend("north", openeo.connect({north.url!r}).authenticate_basic("user", "password"))
        manager.start_job_thread(start_job, {str(database)!r})
        assert reached.wait(30)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert query(database, "SELECT count(*) FROM jobs WHERE status = 'finished'") == [(0,)]
