"""Printed commands work in the user's shell, also where a virtual environment is not active."""

from __future__ import annotations

import os
import subprocess
import sys

from openeo_jobs.cli.programs import type_openeo_jobs, type_python


def test_names_are_short_where_the_shell_finds_them(folder) -> None:
    assert type_openeo_jobs() == "openeo-jobs"
    assert type_python() in ("python", os.path.basename(sys.executable))  # noqa: PTH119


def test_names_are_whole_where_the_shell_would_find_others(folder, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert type_python() == sys.executable
    ended = subprocess.run(
        f"{type_openeo_jobs()} --version", shell=True, capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("openeo-jobs ")
