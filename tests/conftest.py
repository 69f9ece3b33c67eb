"""What many tests need: two simulated backends, and a manager on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigning import QUICK, connect_to
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.simulator import Simulator


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Let SQLAlchemy compile each statement once, not once for each of the thousands of databases here."""
    model = sa.create_engine("sqlite://", query_cache_size=5000)
    model.connect().close()

    def create_engine(*args: Any, **kwargs: Any) -> sa.Engine:
        engine = original(*args, **kwargs)
        if engine.dialect.insert_returning is model.dialect.insert_returning:  # not an older SQLite, feigned
            engine.dialect = engine.pool._dialect = model.dialect
            engine._compiled_cache = model._compiled_cache
        return engine

    original, sa.create_engine = sa.create_engine, create_engine
    yield
    sa.create_engine = original


@pytest.fixture
def north(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(folder=tmp_path / "north", seed=1, name="north", **QUICK) as backend:
        yield backend


@pytest.fixture
def south(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(folder=tmp_path / "south", seed=2, name="south", **QUICK) as backend:
        yield backend


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user of whom openEO's client has stored nothing, and who has told it nothing."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
        # One that exists goes before the user's own.
        (tmp_path / name / "openeo-python-client").mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith("OPENEO_AUTH_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_simulator() -> Iterator[Callable[..., Simulator]]:
    """Make quick simulators, each in a folder; they stop with the test."""
    with ExitStack() as stack:
        yield lambda folder, **kwargs: stack.enter_context(Simulator(folder=folder, **{**QUICK, **kwargs}))


@pytest.fixture
def make_manager(tmp_path: Path) -> Callable[..., MultiBackendJobManager]:
    """Make a manager, quick, on the given simulators; `cls` is its class."""

    def make(
        *simulators: Simulator, cls: type = MultiBackendJobManager, parallel_jobs: int = 4, **kwargs: Any
    ) -> MultiBackendJobManager:
        manager = cls(**{"poll_sleep": 0.05, "root_dir": tmp_path / "results", **kwargs})
        for simulator in simulators:
            manager.add_backend(simulator.name, connect_to(simulator), parallel_jobs=parallel_jobs)
        return manager

    return make


@dataclass(frozen=True)
class Demo:
    """What `openeo-jobs demo` printed, and the folder that it left."""

    folder: Path
    output: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run `openeo-jobs demo`, once for all tests; none of them changes its folder."""
    parent = tmp_path_factory.mktemp("demo")
    program = str(Path(sys.executable).with_name("openeo-jobs"))
    done = subprocess.run([program, "demo"], cwd=parent, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return Demo(folder=parent / "openeo-jobs-demo", output=done.stdout)
