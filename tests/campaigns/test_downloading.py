"""`openeo-jobs download` and `openeo_jobs.download`: what is missing is fetched, and nothing else is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from campaigning import connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager, download
from openeo_jobs.cli import main
from openeo_jobs.downloading import Downloaded
from openeo_jobs.errors import UsageError
from openeo_jobs.simulator import Fault, Simulator

MakeManager = Callable[..., MultiBackendJobManager]


@pytest.fixture
def campaign(make_manager: MakeManager, north: Simulator, tmp_path: Path) -> Path:
    """Run three rows to their end."""
    make_manager(north).run_jobs(make_rows(3), start_job, tmp_path / "jobs.csv")
    return tmp_path / "jobs.csv"


@pytest.fixture
def connections(north: Simulator) -> dict[str, Any]:
    return {"north": connect_to(north)}


def folder_of(campaign: Path, number: int) -> Path:
    ((path,),) = query(
        campaign.with_suffix(".sqlite"),
        "SELECT path FROM assets WHERE job = ? AND name = 'openEO.tif'",
        number,
    )
    return campaign.parent / Path(path).parent


def posts(north: Simulator) -> int:
    return len(north.requests(method="POST"))


def test_where_nothing_is_missing_nothing_is_asked(
    campaign: Path, connections: dict[str, Any], north: Simulator
) -> None:
    asked = len(north.requests())
    assert download(campaign, connections) == Downloaded()
    assert len(north.requests()) == asked


def test_files_that_are_gone_come_back_to_their_places(
    campaign: Path, connections: dict[str, Any], north: Simulator
) -> None:
    first, second, before = folder_of(campaign, 1), folder_of(campaign, 2), posts(north)
    (first / "openEO.tif").unlink()
    shutil.rmtree(second)
    outcome = download(campaign, connections)
    assert outcome == Downloaded(fetched=(1, 2))
    assert (first / "openEO.tif").exists()
    assert (second / "job-results.json").exists()
    assert posts(north) == before
    ((owners,),) = query(
        campaign.with_suffix(".sqlite"), "SELECT count(*) FROM runner WHERE ended_at IS NULL"
    )
    assert owners == 0


def test_rows_that_were_given_up_are_fetched_and_others_left_alone(
    make_manager: MakeManager, make_simulator: Any, tmp_path: Path
) -> None:
    broken = Fault(endpoint="GET /assets/{job_id}/{name}", kind="corrupt")
    with Simulator(
        folder=tmp_path / "north", name="north", faults=[broken], run_seconds=(0.0, 0.05)
    ) as north:
        make_manager(north).run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    select = "SELECT results_status FROM jobs"
    assert query(tmp_path / "jobs.sqlite", select) == [("failed",), ("failed",)]
    north = make_simulator(tmp_path / "north", name="north")
    outcome = download(tmp_path / "jobs.sqlite", {"north": connect_to(north)}, rows=[2])
    assert outcome == Downloaded(fetched=(2,))
    assert query(tmp_path / "jobs.sqlite", select) == [("failed",), ("downloaded",)]


def test_what_was_not_wanted_is_fetched_only_where_it_is_named(
    make_manager: MakeManager, north: Simulator, connections: dict[str, Any], tmp_path: Path
) -> None:
    make_manager(north, download_results=False).run_jobs(make_rows(2), start_job, tmp_path / "jobs.csv")
    assert download(tmp_path / "jobs.csv", connections) == Downloaded()
    outcome = download(
        tmp_path / "jobs.csv",
        connections,
        where="tile = 'T001'",
        root_dir=tmp_path / "late",
        output_path="{tile}",
        assets="*.tif",
    )
    assert outcome == Downloaded(fetched=(2,))
    assert sorted(path.name for path in (tmp_path / "late" / "T001").glob("*.*")) == [
        *("job-results.json", "job_north-00002.json", "openEO.tif")
    ]


def test_a_layout_that_cannot_be_told_is_asked_for(
    make_manager: MakeManager, north: Simulator, connections: dict[str, Any], tmp_path: Path
) -> None:
    make_manager(north, output_path="{tile}").run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    make_manager(north, download_results=False).run_jobs(
        make_rows(2), start_job, tmp_path / "jobs.csv", on_exists="append"
    )
    with pytest.raises(UsageError, match="say where those of other rows go"):
        download(tmp_path / "jobs.csv", connections, rows=[2])
    outcome = download(
        tmp_path / "jobs.csv", connections, rows=[2], root_dir=tmp_path / "results", output_path="{tile}"
    )
    assert outcome == Downloaded(fetched=(2,))
    assert (tmp_path / "results" / "T001" / "openEO.tif").exists()


def test_without_a_connection_it_says_so(campaign: Path) -> None:
    (folder_of(campaign, 1) / "openEO.tif").unlink()
    with pytest.raises(UsageError, match="no backend of the campaign can be asked: 'north'"):
        download(campaign, {})


def test_a_backend_that_is_gone_leaves_rows_with_the_reason(
    campaign: Path, connections: dict[str, Any], north: Simulator
) -> None:
    (folder_of(campaign, 1) / "openEO.tif").unlink()

    def refuse() -> None:
        raise requests.ConnectionError("no route to host")

    outcome = download(campaign, {"north": refuse})
    assert list(outcome.missing) == [1]
    assert outcome.fetched == ()


def test_the_command_says_what_it_did(
    campaign: Path, connections: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("openeo_jobs.cli.download.find_connections", lambda backends: connections)
    assert main(["download", str(campaign)]) == 0
    assert "Nothing is missing" in capsys.readouterr().out
    (folder_of(campaign, 1) / "openEO.tif").unlink()
    assert main(["download", str(campaign)]) == 0
    assert "1 row fetched: row 1." in capsys.readouterr().out
