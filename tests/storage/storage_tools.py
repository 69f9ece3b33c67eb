"""What the tests of the storage share: a campaign in a file, runners, raw SQL, other revisions."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Backend, Column, ErrorClass, Failure, Job, Runner
from openeo_jobs.storage.migrate import find_scripts
from openeo_jobs.storage.store import JobStore, open_store_for_run
from openeo_jobs.tables import NewJob, Table

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
HEAD = max(path.name[:4] for path in (find_scripts() / "versions").glob("0*.py"))
NEXT = f"{int(HEAD) + 1:04}"
FAILURE = Failure(
    error_class=ErrorClass.PERMANENT,
    message="[400] ProcessUnsupported: no 'foo' at step 3",
    at=NOW,
    http_status=400,
    code="ProcessUnsupported",
    key="[*] ProcessUnsupported: no 'foo' at step *",
)


def seconds(number: float) -> datetime:
    """Return NOW, so many seconds later."""
    return NOW + timedelta(seconds=number)


def is_dead(_runner: Runner) -> bool:
    return True


def is_alive(_runner: Runner) -> bool:
    return False


def make_runner(**overrides: Any) -> Runner:
    values: dict[str, Any] = {
        "uuid": uuid.uuid4().hex,
        "host": "node7",
        "boot_id": "b1",
        "pid_namespace": "pid:[1]",
        "pid": 4711,
        "process_started_at": "1000.00",
        "started_at": NOW,
        "command": "python campaign.py",
        "folder": "/home/me",
        "heartbeat_at": NOW,
    }
    return Runner(**(values | overrides))


def make_new_job(*cells: Any, **overrides: Any) -> NewJob:
    return NewJob(params=json.dumps(list(cells)), index_label="0", **overrides)


def make_table(jobs: Sequence[NewJob], columns: Sequence[str] = ("tile",)) -> Table:
    return Table(
        columns=tuple(Column(name=name, dtype="str") for name in columns),
        index=Column(name="", dtype="int64"),
        jobs=tuple(jobs),
    )


def make_tiles(number: int, **overrides: Any) -> list[NewJob]:
    return [make_new_job(f"T{i}", **overrides) for i in range(number)]


@contextmanager
def campaign_at(
    path: Path,
    jobs: Sequence[NewJob],
    *,
    columns: Sequence[str] = ("tile",),
    backends: Sequence[str] = ("north", "south"),
    scripts: Path | None = None,
) -> Iterator[JobStore]:
    """Open a new campaign, with its backends registered."""
    with open_store_for_run(path, is_dead=is_dead, scripts=scripts) as store:
        store.campaigns.begin(make_table(jobs, columns), uid="c0ffee123456", at=NOW)
        store.backends.register([Backend(name=name) for name in backends])
        yield store


def begin_runner(store: JobStore, **overrides: Any) -> int:
    """Begin a runner, and hand it what dead ones have left on both backends."""
    runner_id = store.runners.begin(make_runner(**overrides), is_dead=is_dead, at=NOW)
    take_over(store, runner_id)
    return runner_id


def take_over(store: JobStore, runner_id: int, *, at: datetime = NOW) -> int:
    return store.owners.take_over(runner_id, ["north", "south"], at=at)


def claim_one(store: JobStore, runner_id: int, backend_name: str = "north") -> Job:
    (job,) = store.claims.claim(runner_id=runner_id, caps={backend_name: 10_000}, at=NOW, limit=1)
    return job


def reload(store: JobStore, job: Job) -> Job:
    found = store.jobs.one(job.number)
    assert found is not None
    return found


def create_one(store: JobStore, runner_id: int, batch_job_id: str) -> Job:
    """Bring a row to `created`, the way of `start_job`."""
    job = claim_one(store, runner_id)
    number = store.creations.record_intent(
        job, backend_name="north", fingerprint="f", tag=f"oj-{batch_job_id}", at=NOW
    )
    store.creations.record_outcome(number, outcome="created", batch_job_id=batch_job_id, at=NOW)
    return store.creations.choose(job, backend_name="north", batch_job_id=batch_job_id, at=NOW)


def run_sql(path: Path, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Do what any SQL tool does: no pragma, one statement, committed."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, parameters).fetchall()


def force_status(path: Path, number: int, status: str) -> None:
    """Set any status, as openEO's JobDatabaseInterface may."""
    run_sql(path, "UPDATE job SET status = ?, change_actor = 'interface' WHERE id = ?", status, number)


def dump(path: Path) -> str:
    """Return everything that is in a database, as text."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump())


def scripts_with(folder: Path, body: str) -> Path:
    """Make a folder of migrations that has one more revision, whose `upgrade` does *body*."""
    scripts = folder / "scripts"
    shutil.copytree(find_scripts(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / f"{NEXT}_next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f'revision = "{NEXT}"\ndown_revision = "{HEAD}"\n\n\n'
        f"def upgrade() -> None:\n    {body}\n"
    )
    return scripts


@contextmanager
def watched_statements() -> Iterator[list[tuple[str, Any]]]:
    """Collect every statement, with its parameters, that SQLAlchemy sends to a database."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def run_at_once(code: str, arguments: Sequence[Sequence[str]]) -> list[str]:
    """Run *code* in a process for each of *arguments*, all let go at one moment; return what they print.

    The code has to `print("ready", flush=True)` and `input()` once it has imported what it needs.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *each],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for each in arguments
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    finished = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert not [errors for _, errors, code in finished if code or errors]
    return [printed for printed, _, _ in finished]


Judge = Callable[[Runner], bool]
