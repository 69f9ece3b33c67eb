"""Where results go: `output_path`, and an override of `get_job_dir` that wins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from campaigning import make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager
from openeo_jobs.errors import UsageError
from openeo_jobs.layout import read_layout
from openeo_jobs.simulator import Simulator

MakeManager = Callable[..., MultiBackendJobManager]


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_template_names_the_folder_of_each_row(
    make_manager: MakeManager, north: Simulator, tmp_path: Path
) -> None:
    manager = make_manager(north, output_path="{tile}/{year}", assets="*.tif")
    manager.run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    found = files_below(tmp_path / "results")
    assert {name for name in found if not Path(name).name.startswith("job_")} == {
        *("T000/2020/openEO.tif", "T000/2020/job-results.json"),
        *("T001/2020/openEO.tif", "T001/2020/job-results.json"),
    }
    stored = query(tmp_path / "jobs.sqlite", "SELECT path, state FROM assets WHERE name = 'openEO.tif'")
    assert stored[0] == ("results/T000/2020/openEO.tif", "downloaded")


def test_a_callable_gets_the_row(make_manager: MakeManager, north: Simulator, tmp_path: Path) -> None:
    manager = make_manager(north, output_path=lambda row: Path(str(row.year), f"{row.tile}-{row.id}"))
    manager.run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    assert "2020/T000-north-00001/openEO.tif" in files_below(tmp_path / "results")


def test_a_get_job_dir_that_is_overridden_wins(
    make_manager: MakeManager, north: Simulator, tmp_path: Path
) -> None:
    class Manager(MultiBackendJobManager):
        def get_job_dir(self, job_id: str) -> Path:
            return tmp_path / "mine" / job_id

    make_manager(north, cls=Manager, output_path="{tile}").run_jobs(
        make_rows(1), start_job, tmp_path / "jobs.csv"
    )
    assert not (tmp_path / "results").exists()
    assert (tmp_path / "mine" / "north-00001" / "openEO.tif").exists()


def test_a_hook_finds_the_files_where_get_job_dir_says(
    make_manager: MakeManager, north: Simulator, tmp_path: Path
) -> None:
    seen = []

    class Manager(MultiBackendJobManager):
        def on_job_done(self, job: Any, row: Any) -> None:
            super().on_job_done(job, row)
            seen.append(sorted(path.name for path in self.get_job_dir(job.job_id).glob("*.tif")))

    make_manager(north, cls=Manager, output_path="{tile}").run_jobs(
        make_rows(1), start_job, tmp_path / "jobs.csv"
    )
    assert seen == [["openEO.tif"]]
    assert (tmp_path / "results" / "T000" / "openEO.tif").exists()


def test_a_hook_for_which_no_file_is_wanted_leaves_a_row_that_says_so(
    make_manager: MakeManager, north: Simulator, tmp_path: Path
) -> None:
    class Manager(MultiBackendJobManager):
        def on_job_done(self, job: Any, row: Any) -> None:
            super().on_job_done(job, row)

    make_manager(north, cls=Manager, assets="*.zarr").run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    assert query(tmp_path / "jobs.sqlite", "SELECT results_status FROM jobs") == [("not_wanted",)]


def test_a_hook_does_not_put_a_file_in_the_place_of_another_rows(
    make_manager: MakeManager, north: Simulator, tmp_path: Path
) -> None:
    class Manager(MultiBackendJobManager):
        def on_job_done(self, job: Any, row: Any) -> None:
            super().on_job_done(job, row)

    manager = make_manager(north, cls=Manager, output_path=lambda row: "all", parallel_jobs=1)
    manager.run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    errors = query(tmp_path / "jobs.sqlite", "SELECT hook_error FROM attempts ORDER BY job")
    assert errors[0] == (None,)
    assert "is a file of row 1" in errors[1][0]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{tile}/{yaer}", r"no column 'yaer'; there are 'tile', 'year', 'id', 'backend_name'"),
        ("{year}", r"rows 1 and 2 would share the folder 2020"),
        ("all", "names no column"),
        ("{tile", "is no template"),
        ("{}", "no column ''"),
        ("{tile:d}", "row 1: "),
        ("../{tile}", "is no folder to be in"),
        ("{status}/{tile}", "no column 'status'"),
        ("", "output_path is a template"),
        (3, "output_path is a template"),
    ],
)
def test_a_template_that_does_not_do_is_refused_before_anything_is_changed(
    make_manager: MakeManager, north: Simulator, tmp_path: Path, template: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_manager(north, output_path=template).run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    assert not (tmp_path / "jobs.sqlite").exists()
    assert north.requests(method="POST") == []


def test_folders_that_differ_in_case_only_are_the_same_on_some_disks(
    make_manager: MakeManager, north: Simulator, tmp_path: Path
) -> None:
    df = pd.DataFrame({"tile": ["a", "A"]})
    with pytest.raises(UsageError, match="rows 1 and 2 would share"):
        make_manager(north, output_path="{tile}").run_jobs(df, start_job, tmp_path / "jobs.csv")


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_row_without_a_value_is_named(
    make_manager: MakeManager, north: Simulator, tmp_path: Path, missing: Any
) -> None:
    df = pd.DataFrame({"tile": ["a", missing]})
    with pytest.raises(UsageError, match="row 2: column 'tile' has no value"):
        make_manager(north, output_path="{tile}").run_jobs(df, start_job, tmp_path / "jobs.csv")


def test_rows_that_are_added_are_checked_too(
    make_manager: MakeManager, north: Simulator, tmp_path: Path
) -> None:
    make_manager(north, output_path="{tile}").run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    more = pd.DataFrame({"tile": ["T000", "T000"], "year": [2020, 2021]})
    with pytest.raises(UsageError, match="rows 1 and 2 would share the folder T000"):
        make_manager(north, output_path="{tile}").run_jobs(
            more, start_job, tmp_path / "jobs.csv", on_exists="append"
        )
    assert len(north.requests(method="POST", path="^/jobs$")) == 1


def test_formats_and_odd_names_of_columns_do() -> None:
    layout = read_layout("{a.b}/{day:%Y-%m}/{n:03}")
    assert layout is not None
    row = pd.Series({"a.b": "x", "day": date(2020, 3, 1), "n": 7})
    assert layout.folder_of(row) == Path("x/2020-03/007")


def test_outside_of_a_run_nobody_knows_the_row(make_manager: MakeManager, north: Simulator) -> None:
    with pytest.raises(UsageError, match="known only"):
        make_manager(north, output_path="{tile}").get_job_dir("north-1")


@pytest.mark.parametrize("assets", ["", 3, ["*.tif"]])
def test_a_filter_that_is_none_is_refused(make_manager: MakeManager, north: Simulator, assets: Any) -> None:
    with pytest.raises(UsageError, match=r"assets is a pattern such as"):
        make_manager(north, assets=assets)


@pytest.mark.parametrize("name", ["max_downloads", "max_downloads_per_backend", "hook_workers"])
def test_there_is_at_least_one_of_what_works(make_manager: MakeManager, north: Simulator, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is a number from 1"):
        make_manager(north, **{name: 0})
