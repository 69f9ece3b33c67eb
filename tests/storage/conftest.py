"""A campaign of five rows on two backends, and a runner that works on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_lifecycle import live_a_whole_life
from storage_tools import begin_runner, campaign_at, make_tiles

from openeo_jobs.storage.store import JobStore, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.fixture(scope="session")
def five_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a campaign to be copied: to copy takes less time than to make."""
    path = tmp_path_factory.mktemp("five rows") / "jobs.sqlite"
    with campaign_at(path, make_tiles(5)):
        pass
    return path


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a campaign after a whole life; only to be read."""
    path = tmp_path_factory.mktemp("lived") / "jobs.sqlite"
    live_a_whole_life(path)
    return path


@pytest.fixture
def store(five_rows: Path, path: Path) -> Iterator[JobStore]:
    shutil.copy(five_rows, path)
    with open_store(path) as opened:
        yield opened


@pytest.fixture
def runner_id(store: JobStore) -> int:
    return begin_runner(store)
