"""Edits of the mirror: taken over at the start of a run, as far as a file may change a campaign."""

from __future__ import annotations

import random
import signal
from hashlib import sha256
from pathlib import Path

import geopandas
import pandas as pd
import pytest
import shapely
from openeo.extra.job_management import CsvJobDatabase, ParquetJobDatabase

from campaigning import PROCESS, make_rows, query, start_job
from openeo_jobs import SqlJobDatabase, create_job_db
from openeo_jobs.errors import MirrorError
from openeo_jobs.storage.store import open_store

pytestmark = pytest.mark.wheel


def fail_sometimes(row, connection, **kwargs):
    """Fail for the odd tiles, until a file `mended` lies in the folder of the results."""
    if int(row.tile[1:]) % 2 and not (Path(kwargs["provider"] + ".mended")).exists():
        raise ValueError("odd")
    return start_job(row, connection)


@pytest.fixture
def campaign(make_manager, north, tmp_path: Path, monkeypatch):
    """A campaign of six rows of which three have failed; what failed them is mended."""
    monkeypatch.chdir(tmp_path)

    def run(mirror: object = "jobs.csv", df=None) -> dict[str, int]:
        return make_manager(north, parallel_jobs=1).run_jobs(df, fail_sometimes, mirror)

    run(df=make_rows(6))
    Path("north.mended").touch()
    return run


def statuses(column: str = "status") -> list[str]:
    return [one for (one,) in query(Path("jobs.sqlite"), f"SELECT {column} FROM jobs ORDER BY tile")]


def edit(change) -> pd.DataFrame:
    """Change the CSV as a user with pandas does."""
    frame = change(pd.read_csv("jobs.csv"))
    frame.to_csv("jobs.csv", index=False)
    return frame


def retry(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[frame["status"] == "start_failed", "status"] = "not_started"
    return frame


def test_failed_rows_that_read_not_started_run_again_in_the_order_of_the_file(
    campaign, north, caplog
) -> None:
    caplog.set_level("INFO", "openeo_jobs")
    before = len(north.truth().batch_jobs)
    edit(lambda frame: retry(frame).iloc[::-1])
    campaign()
    assert statuses() == ["finished"] * 6
    assert [one.title.split()[1] for one in north.truth().batch_jobs[before:]] == ["T005", "T003", "T001"]
    assert "jobs.csv was edited: 3 rows are back in line, and the order is taken over" in caplog.text
    assert pd.read_csv("jobs.csv").tile.tolist() == [f"T{i:03}" for i in range(5, -1, -1)]
    assert not list(Path().glob("*.edited*"))
    history = query(Path("jobs.sqlite"), "SELECT actor, reason FROM status_changes WHERE job = 2 AND old = ?",
                    "start_failed")  # fmt: skip
    assert history == [("user", "edited in jobs.csv")]


def test_what_a_file_cannot_change_is_refused_told_and_kept_beside(campaign, caplog) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame["note"] = "mine"
        frame.loc[0, "status"] = "error"
        frame.loc[2, "costs"] = 1000
        frame.loc[4, "tile"] = "T999"
        return retry(frame)

    edited = edit(change)
    campaign()
    assert statuses() == ["finished"] * 6
    assert "row 1 stays 'finished': a file cannot make it 'error'" in caplog.text
    assert "row 3 keeps its costs: a file cannot change it" in caplog.text
    assert "line 6 is no row of the campaign (T999, 2020)" in caplog.text
    assert "rows 5 are not in it" in caplog.text
    assert "its columns 'note' are not the campaign's" in caplog.text
    assert "5 edits are not taken over" in caplog.text
    assert pd.read_csv("jobs.csv.edited").equals(
        pd.read_csv(pd.io.common.StringIO(edited.to_csv(index=False)))
    )


def test_the_same_file_is_taken_over_once(campaign, north) -> None:
    edit(retry)
    campaign()
    executions = sum(north.truth().executions.values())
    campaign()
    assert sum(north.truth().executions.values()) == executions == 6


def test_a_row_that_was_not_edited_is_not_run_again_though_the_file_lags_behind(
    make_manager, north, tmp_path: Path, monkeypatch, caplog
) -> None:
    """The mirror could not be written: rows that have failed since still read `not_started` in it."""
    caplog.set_level("INFO", "openeo_jobs")
    monkeypatch.chdir(tmp_path)
    create_job_db("jobs.csv", make_rows(4)).close()

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError("open in Excel")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        manager = make_manager(north)
        manager.on_job_done = lambda job, row: None
        manager.run_jobs(None, fail_sometimes, "jobs.csv")
    assert statuses() == ["finished", "start_failed"] * 2
    assert set(pd.read_csv("jobs.csv").status) == {"not_started"}
    edit(lambda frame: frame.iloc[::-1])
    Path("north.mended").touch()
    manager.run_jobs(None, fail_sometimes, "jobs.csv")
    assert statuses() == ["finished", "start_failed"] * 2
    assert "0 rows are back in line, and the order is taken over" in caplog.text


@pytest.mark.parametrize("object_of", [pytest.param(CsvJobDatabase, marks=pytest.mark.long), None])
def test_restart_loops_lose_no_row_and_run_none_twice(
    make_manager, north, tmp_path: Path, monkeypatch, object_of
) -> None:
    """WorldCereal's way: failed rows are set to `not_started`, their `id` is cleared, rows are shuffled."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    monkeypatch.chdir(tmp_path)
    rows, csv = 24, tmp_path / "jobs.csv"

    def fail_at_first(row, connection, provider, **kwargs):
        tries = Path(f"{row.tile}.tries")
        tries.write_text(f"{tries.read_text() if tries.exists() else ''}x")
        if len(tries.read_text()) <= int(row.tile[1:]) % 4:
            raise ValueError("not yet")
        return start_job(row, connection)

    def stop_with_a_job_running(row, **kwargs):
        if any(one.status == "running" for one in north.truth().batch_jobs[3:]):
            raise KeyboardInterrupt
        return fail_at_first(row, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        make_manager(north).run_jobs(make_rows(rows), stop_with_a_job_running, csv)
    active = {one for (one,) in query(tmp_path / "jobs.sqlite", "SELECT id FROM jobs WHERE status IN "
                                      "('created', 'queued', 'running', 'queued_for_start')")}  # fmt: skip
    assert active
    for loop in range(4):
        frame = CsvJobDatabase(csv).read()
        frame.loc[frame["status"].isin(["error", "start_failed"]), ["status", "id"]] = ["not_started", None]
        frame = frame.sample(frac=1, random_state=seed + loop)
        job_db = CsvJobDatabase(csv)
        job_db.persist(frame)
        make_manager(north, grace=0.2).run_jobs(None, fail_at_first, job_db if object_of else csv)
        assert sorted(job_db.df["tile"] if object_of else pd.read_csv(csv)["tile"]) == list(
            make_rows(rows).tile
        )
    assert query(tmp_path / "jobs.sqlite", "SELECT status, count(*) FROM jobs GROUP BY 1") == [
        ("finished", rows)
    ]
    assert set(north.truth().executions_per_row.values()) == {1}
    assert active <= {one for (one,) in query(tmp_path / "jobs.sqlite", "SELECT id FROM jobs")}
    assert not list(tmp_path.glob("*.edited*"))


def test_rows_that_are_alike_are_told_apart_by_their_ids(make_manager, north, tmp_path: Path) -> None:
    csv, calls = tmp_path / "jobs.csv", []

    def fail_the_second(row, connection, **kwargs):
        calls.append(row)
        if len(calls) == 2:
            raise ValueError("no")
        return connection.create_job(PROCESS, title="alike")

    manager = make_manager(north, parallel_jobs=1)
    manager.run_jobs(pd.DataFrame({"tile": ["same"] * 4}), fail_the_second, csv)
    frame = pd.read_csv(csv)
    frame.loc[1, "status"] = "not_started"
    frame.iloc[[3, 1, 0, 2]].to_csv(csv, index=False)
    manager.run_jobs(None, fail_the_second, csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT job, count(*) FROM attempts GROUP BY 1") == [
        *((1, 1), (2, 2), (3, 1), (4, 1))
    ]
    assert list(north.truth().executions.values()) == [1] * 4


@pytest.mark.parametrize("tiles", [("a", "a"), ("1E1", "10"), ("007", "7"), ("NA", "none"), ("T31 ", "T31")])
def test_a_finished_row_is_never_taken_for_a_failed_one_that_reads_alike(
    make_manager, north, tmp_path: Path, tiles
) -> None:
    csv = tmp_path / "jobs.csv"

    def fail_the_second(row, connection, **kwargs):
        if row.name == 1 and not kwargs["provider"].endswith("again"):
            raise ValueError("no")
        return connection.create_job(PROCESS, title="alike")

    manager = make_manager(north, parallel_jobs=1)
    manager.run_jobs(pd.DataFrame({"tile": tiles}), fail_the_second, csv)
    frame = pd.read_csv(csv, dtype=str, keep_default_na=False)
    frame.loc[1, ["status", "id"]] = ["not_started", ""]
    frame.iloc[::-1].to_csv(csv, index=False)
    manager.run_jobs(None, fail_the_second, csv)
    attempts = query(tmp_path / "jobs.sqlite", "SELECT job, count(*) FROM attempts GROUP BY 1")
    assert attempts == [(1, 1), (2, 2)]
    assert list(north.truth().executions.values()) == [1]


def test_a_row_whose_id_stands_on_another_line_is_not_reset(campaign, north, caplog) -> None:
    def swap(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[0, "tile"] = "T999"
        frame.loc[1, ["tile", "status"]] = ["T000", "not_started"]
        return frame

    edit(swap)
    campaign()
    assert statuses()[0] == "finished"
    assert "line 3 is no row of the campaign (T000, 2020)" in caplog.text
    assert sum(north.truth().executions.values()) == 3


def test_an_edit_of_an_old_state_runs_nothing_again(campaign, north, caplog) -> None:
    old = Path("jobs.csv").read_text()
    edit(retry)
    campaign()
    assert statuses() == ["finished"] * 6
    Path("jobs.csv").write_text(old)
    with open_store(Path("jobs.sqlite")) as store:  # the file was open elsewhere all the time
        (contents,) = store.campaigns.load().mirrors.values()
        first = next(one for one in contents if one.content_hash == sha256(old.encode()).hexdigest())
        store.campaigns.note_mirror("jobs.csv", first.content_hash, first.mark)
    edit(retry)
    campaign()
    assert "row 2 has moved since the file was written: it is 'finished' now" in caplog.text
    assert sum(north.truth().executions.values()) == 6


def test_a_backend_that_is_named_beside_not_started_is_obeyed(
    make_manager, north, south, tmp_path: Path
) -> None:
    csv = tmp_path / "jobs.csv"

    def refuse(**kwargs):
        raise ValueError("no")

    make_manager(north).run_jobs(make_rows(2), refuse, csv)
    frame = pd.read_csv(csv, dtype=str)
    frame["status"], frame["backend_name"] = "not_started", "south"
    frame.to_csv(csv, index=False)
    make_manager(north, south).run_jobs(None, start_job, csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT backend_name, status FROM jobs") == [
        ("south", "finished")
    ]


def test_the_same_edit_again_is_an_edit_again(make_manager, north, tmp_path: Path) -> None:
    csv, calls = tmp_path / "jobs.csv", []

    def refuse(row, **kwargs):
        calls.append(row.tile)
        raise ValueError("no")

    make_manager(north).run_jobs(make_rows(1), refuse, csv)
    for _ in range(3):
        csv.write_text(csv.read_text().replace("start_failed", "not_started"))
        make_manager(north).run_jobs(None, refuse, csv)
    assert calls == ["T000"] * 4


def test_a_file_that_was_never_ours_is_kept(tmp_path: Path, caplog) -> None:
    create_job_db(tmp_path / "jobs.sqlite", make_rows(1)).close()
    (tmp_path / "jobs.csv").write_text("my,own,table\n")
    job_db = SqlJobDatabase(tmp_path / "jobs.csv")
    job_db.persist(job_db.read().assign(status="skipped"))
    assert (tmp_path / "jobs.csv.edited").read_text() == "my,own,table\n"
    assert "kept as" in caplog.text


def test_a_link_keeps_leading_to_its_file(make_manager, north, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "jobs.csv").symlink_to(tmp_path / "elsewhere" / "real.csv")
    make_manager(north).run_jobs(make_rows(1), start_job, tmp_path / "jobs.csv")
    assert (tmp_path / "jobs.csv").is_symlink()
    assert "finished" in (tmp_path / "elsewhere" / "real.csv").read_text()


def test_an_active_row_is_never_reset_by_a_file(make_manager, north, tmp_path: Path, caplog) -> None:
    csv = tmp_path / "jobs.csv"

    def start_two(row, connection, **kwargs):
        if row.tile == "T001":
            signal.raise_signal(signal.SIGINT)
        return start_job(row, connection)

    with pytest.raises(KeyboardInterrupt):
        make_manager(north, poll_sleep=5).run_jobs(make_rows(3), start_two, csv)
    frame = pd.read_csv(csv)
    frame[["status", "id"]] = ["not_started", None]
    frame.to_csv(csv, index=False)
    make_manager(north, grace=0.2).run_jobs(None, start_job, csv)
    assert "an active row is never reset by a file" in caplog.text
    assert list(north.truth().executions_per_row.values()) == [1, 1, 1]


def test_a_file_without_the_users_columns_is_left_as_it_is(campaign) -> None:
    edited = edit(lambda frame: frame.drop(columns="tile"))
    with pytest.raises(MirrorError, match="has no column 'tile' any more"):
        campaign()
    assert pd.read_csv("jobs.csv").shape == edited.shape


def test_a_file_that_was_edited_during_a_run_is_kept_beside(campaign, make_manager, north, caplog) -> None:
    def edit_and_start(row, connection, **kwargs):
        edit(lambda frame: frame.assign(note="mine"))
        return start_job(row, connection)

    make_manager(north).run_jobs(
        pd.DataFrame({"tile": ["new"], "year": 1}), edit_and_start, "jobs.csv", on_exists="append"
    )
    assert "jobs.csv was edited meanwhile; kept as jobs.csv.edited" in caplog.text
    assert "note" in pd.read_csv("jobs.csv.edited").columns
    assert "note" not in pd.read_csv("jobs.csv").columns


def test_cells_of_any_kind_find_their_row_after_pandas_has_rewritten_the_file(
    make_manager, north, tmp_path: Path
) -> None:
    csv = tmp_path / "jobs.csv"
    frame = geopandas.GeoDataFrame(
        {
            "tile": ["007", "NA", 'a "b", c', ""],
            "x": [0.1 + 0.2, 1e-9, float("nan"), 1 / 3],
            "n": pd.array([1, None, 3, 2**40], dtype="Int64"),
            "day": pd.to_datetime(["2024-01-01", "2024-01-02", None, "2024-01-04"]),
            "flag": [True, False, True, False],
            "bands": [["B04"], [], None, {"a": 1}],
        },
        geometry=[shapely.Point(1 / 3, i).buffer(0.1) for i in range(4)],
        crs=4326,
    )

    def refuse(**kwargs):
        raise ValueError("no")

    make_manager(north).run_jobs(frame, refuse, csv)
    upstream = CsvJobDatabase(csv)
    upstream.persist(upstream.read().assign(status="not_started").iloc[::-1])
    manager = make_manager(north)
    manager.run_jobs(frame, lambda row, connection, **kwargs: start_job(row, connection), csv)
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status FROM jobs") == [("finished",)]
    assert not list(tmp_path.glob("*.edited*"))


def test_parquet_is_edited_the_same_way(make_manager, north, tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"

    def refuse(**kwargs):
        raise ValueError("no")

    frame = make_rows(3).assign(bbox=[[1.5, 2.0], [3.0], None], day=pd.Timestamp("2024-01-01", tz="UTC"))
    make_manager(north).run_jobs(frame, refuse, path)
    job_db = ParquetJobDatabase(path)
    assert job_db.df["status"].tolist() == ["start_failed"] * 3
    job_db.df["status"] = "not_started"
    job_db.persist(job_db.df)
    make_manager(north).run_jobs(None, start_job, job_db)
    assert job_db.df["status"].tolist() == ["finished"] * 3
    assert pd.read_parquet(path)["year"].dtype == "int64"
