"""`openeo-jobs demo`: one real run, what it leaves behind, and that every command it prints works."""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from openeo_jobs.cli import main
from openeo_jobs.cli.demo import make_folder, read_template

pytestmark = pytest.mark.wheel


def run_python(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )


def count_statuses(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as connection:
        return dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY status"))


def test_the_demo_is_true_and_goes_on_with_the_printed_commands(demo, tmp_path, monkeypatch, capsys) -> None:
    folder = Path(shutil.copytree(demo.folder, tmp_path / "demo"))
    out = demo.output
    assert count_statuses(folder) == {"finished": 54, "error": 5, "start_failed": 1}
    assert re.search(r"54 of 60 rows complete in ([\d.]+) s; 6 failed\.", out)
    assert not set(map(chr, range(32))) - {"\n"} & set(out)
    assert "KeyError: 'fwe' in start_job" in out

    with (folder / "jobs.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)].count("finished") == 54
    assert len(list((folder / "results").glob("*/job-results.json"))) == 54

    monkeypatch.chdir(folder)
    assert main(["retry", "--failure", "1"]) == 0
    assert run_python("campaign.py", "4G", folder=folder).returncode == 0
    assert count_statuses(folder) == {"finished": 57, "error": 2, "start_failed": 1}
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["complete"] == 57
    # A create request that meets the 503 may take another attempt.
    assert sum(backend["attempts"] for backend in document["backends"]) >= 63


def test_the_script_is_short_and_compiles() -> None:
    source = read_template().decode()
    assert len(source.splitlines()) < 40
    assert ast.get_docstring(ast.parse(source))


def test_a_second_demo_overwrites_nothing(tmp_path: Path) -> None:
    folders = [make_folder(tmp_path) for _ in range(3)]
    assert [folder.name for folder in folders] == [
        *("openeo-jobs-demo", "openeo-jobs-demo-2", "openeo-jobs-demo-3")
    ]
