"""A campaign to look at, in a folder where the command is typed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_campaign import make_campaign

from openeo_jobs.cli import main


@pytest.fixture(scope="session")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("morning") / "jobs.sqlite"
    make_campaign(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder, in a shell that finds the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENEO_JOBS", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return tmp_path


@pytest.fixture
def campaign(folder: Path, morning: Path) -> Path:
    for name in ("jobs.sqlite", "jobs.csv"):
        shutil.copy(morning.with_name(name), folder)
    return folder / "jobs.sqlite"


@pytest.fixture
def type_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Type words after `openeo-jobs`; return the exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
