"""P7: `start_job` sees the same cells, value and type, first, after a restart and in a new attempt."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from any_frames import dataframes
from campaigning import connect_to
from frames_exact import NOW, look
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.errors import FrameError
from openeo_jobs.frames import OUTPUT_COLUMNS
from openeo_jobs.simulator import Simulator
from openeo_jobs.storage.store import open_store

EVERYDAY = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
LONG = settings(EVERYDAY, max_examples=300, derandomize=False, print_blob=True)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(folder=tmp_path_factory.mktemp("backend"), seed=1, name="north") as simulator:
        yield simulator


def run(
    backend: Simulator, database: Path, df: pd.DataFrame | None, *, stop_after: int | None
) -> list[object]:
    """Run a campaign that skips every row; return what was seen of each, in order."""
    seen: list[object] = []

    def start_job(row, connection, **kwargs):
        own = [(name, look(cell)) for name, cell in row.items() if name not in OUTPUT_COLUMNS]
        seen.append((look(row.name), own))
        if len(seen) == stop_after:
            raise KeyboardInterrupt

    manager = MultiBackendJobManager(poll_sleep=0.01, root_dir=database.parent)
    manager.add_backend("north", connect_to(backend), parallel_jobs=8)
    if stop_after is None:
        manager.run_jobs(df, start_job, database)
    else:
        with pytest.raises(KeyboardInterrupt):
            manager.run_jobs(df, start_job, database)
    return seen


TRACKED = {
    "id",
    "backend_name",
    "status",
    "start_time",
    "running_start_time",
    "cpu",
    "memory",
    "duration",
    "costs",
}


def check_exact_rows(backend: Simulator, df: pd.DataFrame, stop_after: int) -> None:
    if df.empty:
        return
    stop_after = 1 + stop_after % len(df)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "jobs.sqlite"
        first = run(backend, database, df, stop_after=stop_after)
        again = run(backend, database, None, stop_after=None)
        assert again[0] == first[-1]
        with open_store(database) as store:
            assert store.retries.retry(store.jobs.all(), reason="seen once more", at=NOW) == len(df)
        if "priority" not in df.columns:
            assert run(backend, database, df, stop_after=None) == [*first, *again[1:]]


@EVERYDAY
@given(df=dataframes(), stop_after=st.integers(0, 9))
def test_rows_are_the_same_after_a_restart_and_in_a_new_attempt(backend, df, stop_after: int) -> None:
    check_exact_rows(backend, df, stop_after)


@pytest.mark.long
@LONG
@given(df=dataframes(), stop_after=st.integers(0, 9))
def test_rows_of_many_dataframes_are_the_same(backend, df, stop_after: int) -> None:
    check_exact_rows(backend, df, stop_after)


def test_the_cells_are_those_of_the_dataframe_as_pythons_own(backend, tmp_path: Path) -> None:
    df = pd.DataFrame(
        {
            "tile": ["007", "NA", ""],
            "year": np.array([2020, -1, 2**62]),
            "share": [0.5, float("inf"), -0.0],
            "größe": pd.array([1, 2, 3], dtype="Int64"),
            "ok": [True, False, True],
            "bands": [["B04"], {"a": [1, None]}, None],
        },
        index=["b", "a", "b"],
    )
    rows: list[pd.Series] = []
    manager = MultiBackendJobManager(poll_sleep=0.01, root_dir=tmp_path)
    manager.add_backend("north", connect_to(backend), parallel_jobs=8)
    manager.run_jobs(df, lambda row, **kwargs: rows.append(row), tmp_path / "jobs.sqlite")
    assert [row.name for row in rows] == ["b", "a", "b"]
    for position, row in enumerate(rows):
        wanted = [df[name].tolist()[position] for name in df.columns]
        assert [look(row[name]) for name in df.columns] == [look(value) for value in wanted]


@pytest.mark.parametrize(
    ("df", "name"),
    [
        (pd.DataFrame({"bad": [b"x"]}), "bad"),
        (pd.DataFrame({"bad": [2**70]}, dtype=object), "bad"),
        (pd.DataFrame({"bad": [{1, 2}]}), "bad"),
        (pd.DataFrame({"bad": [1 + 2j]}), "bad"),
        (pd.DataFrame({"bad": [random.Random(0)]}), "bad"),
        (pd.DataFrame({"bad": pd.arrays.SparseArray([0, 1])}), "bad"),
        (pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([("a", "b")])), "index"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_kept_is_refused_by_name_before_anything_is_made(
    backend, tmp_path: Path, df: pd.DataFrame, name: str
) -> None:
    before = len(backend.requests())
    manager = MultiBackendJobManager(poll_sleep=0.01, root_dir=tmp_path)
    manager.add_backend("north", connect_to(backend))
    with pytest.raises(FrameError, match=name):
        manager.run_jobs(df, lambda **kwargs: None, tmp_path / "jobs.csv")
    assert list(tmp_path.iterdir()) == []
    assert len(backend.requests()) == before
