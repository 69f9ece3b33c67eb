"""Every command, example, screen and query of the README is run, and compared with what really comes out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pystac
import pytest

from campaigning import query
from openeo_jobs.cli import main
from openeo_jobs.simulator import PROFILES, Simulator

pytestmark = pytest.mark.wheel

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def run_example(what_is_in_it: str) -> None:
    (example,) = [text for text in blocks("python") if what_is_in_it in text]
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})


def masked(text: str) -> list[str]:
    """Take out of a screen what differs from run to run: figures, bars, folders, widths of columns."""
    text = re.sub(r"cd \S+ && \S+ ", "cd FOLDER && python ", text)
    text = re.sub(r"\d+(?:[.:]\d+)*", "#", text)
    text = re.sub(r"[█▏▎▍▌▋▊▉]+", "BAR", text)
    text = re.sub(r"(?:(?:north|south) #(?:, )?)+", "BACKENDS ", text)
    text = re.sub(r"# to #", "#", text)
    text = re.sub(r", # of it in failed attempts", "", text)  # only where a backend has had some
    return [" ".join(line.split()) for line in text.splitlines()]


def copy_database(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(source / "jobs.sqlite")) as original,
        closing(sqlite3.connect(target / "jobs.sqlite")) as copy,
    ):
        original.backup(copy)


def test_the_example_runs_unchanged_but_for_urls_and_login(
    tmp_path: Path, north: Simulator, south: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = blocks("python")[0]
    assert len(example.splitlines()) <= 36
    for real, simulated in (
        ('"openeo.dataspace.copernicus.eu"', repr(north.url)),
        ('"openeo.vito.be"', repr(south.url)),
        ("authenticate_oidc()", 'authenticate_basic("user", "password")'),
        ("poll_sleep=60", "poll_sleep=0.1"),
    ):
        assert real in example
        example = example.replace(real, simulated)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    assert query(tmp_path / "jobs.sqlite", "SELECT DISTINCT status, results_status FROM jobs") == [
        ("finished", "downloaded")
    ]
    assert (tmp_path / "jobs.csv").exists()
    assert len(list((tmp_path / "results").glob("job_*/job-results.json"))) == 2


def test_the_rehearsal_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    run_example("openeo_jobs.simulator")
    assert capsys.readouterr().out == f"{dict.fromkeys(range(1, 11), 1)}\n"
    assert query(
        tmp_path / "rehearsal.sqlite", "SELECT status, count(*) FROM jobs GROUP BY 1 ORDER BY 1"
    ) == [
        ("error", 1),
        ("finished", 9),
    ]


def test_a_catalog_of_a_campaign_takes_12_lines(demo, tmp_path: Path, monkeypatch) -> None:
    (example,) = [text for text in blocks("python") if "pystac" in text]
    assert len([line for line in example.splitlines() if line]) <= 12
    shutil.copytree(demo.folder / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    run_example("pystac")
    catalog = pystac.Catalog.from_file("catalog/catalog.json")
    assets = [asset for results in catalog.get_children() for asset in results.assets.values()]
    assert len(assets) >= 54
    assert all(Path(asset.get_absolute_href()).is_file() for asset in assets)
    assert not any(Path(asset.href).is_absolute() for asset in assets)


def test_every_profile_is_in_the_table() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", README, flags=re.MULTILINE)
    assert [row for row in rows if row[0] in PROFILES] == [
        (name, profile.summary) for name, profile in PROFILES.items()
    ]


def test_the_job_database_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    run_example("create_job_db")
    assert "{'not_started': 2}" in capsys.readouterr().out
    assert "parked" in (tmp_path / "europe.csv").read_text()


@pytest.mark.parametrize("command", ["status", "failures"])
def test_a_screen_is_what_the_command_prints(demo, command: str, monkeypatch, capsys) -> None:
    (screen,) = [text for text in blocks("text") if text.startswith(f"$ openeo-jobs {command}\n")]
    monkeypatch.chdir(demo.folder)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert main([command]) == 0
    printed = capsys.readouterr().out
    assert masked(printed) == masked(screen.split("\n", 1)[1])


def test_every_command_that_is_named_exists(capsys) -> None:
    named = {m[0] for m in re.findall(r"openeo-jobs ((?:db )?[a-z-]+)((?: |`|$))", README)}
    assert named >= {"demo", "status", "failures", "retry", "db upgrade", "simulate"}
    for command in named:
        with pytest.raises(SystemExit) as ended:
            main([*shlex.split(command), "--help"])
        assert ended.value.code == 0
    capsys.readouterr()


def test_the_retry_of_the_morning_works(demo, tmp_path: Path, monkeypatch, capsys) -> None:
    copy_database(demo.folder, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "openeo-jobs retry --failure 1  " in README
    assert main(["retry", "--failure", "1"]) == 0
    assert query(tmp_path / "jobs.sqlite", "SELECT count(*) > 0 FROM job WHERE status = 'not_started'") == [
        (1,)
    ]


def test_every_query_answers(demo) -> None:
    (text,) = blocks("sql")
    queries = [one.strip() for one in text.split(";") if one.strip()]
    assert len(queries) == 5
    for one in queries:
        assert query(demo.folder / "jobs.sqlite", one), one


def test_the_views_have_exactly_the_columns_that_are_documented(demo) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (`.*) \|$", README, flags=re.MULTILINE)
    documented = {view: list(re.findall(r"`(\w+)`|(your columns)", columns)) for view, _, columns in rows}
    users = ["tile", "year", "clouds", "geometry"]
    with closing(sqlite3.connect(demo.folder / "jobs.sqlite")) as connection:
        views = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")]
        assert sorted(documented) == sorted(views)
        for view, names in documented.items():
            expected = [one for name, yours in names for one in ([name] if name else users)]
            found = [column[0] for column in connection.execute(f"SELECT * FROM {view}").description]
            assert found == expected, view


def test_a_failed_row_goes_back_in_line_by_the_sql_that_is_given(demo, tmp_path: Path) -> None:
    statement = re.search(r"`(UPDATE job SET status = .*?)`", README)
    assert statement is not None
    copy_database(demo.folder, tmp_path)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as copy, copy:
        copy.execute(statement[1])
    assert query(tmp_path / "jobs.sqlite", "SELECT status FROM jobs WHERE job = 11") == [("not_started",)]
