"""`openeo-jobs simulate`: a backend in a terminal, until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_a_backend_answers_at_the_printed_url_until_it_is_interrupted(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "openeo_jobs.cli", "simulate", "--name", "east", "--run-seconds", "0", "1"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("east answers at http://127.0.0.1:")
        with urllib.request.urlopen(first.split()[-1]) as answer:
            assert json.load(answer)["api_version"] == "1.2.0"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert '.authenticate_basic("user", "password")' in rest
    assert (tmp_path / ".simulator" / "east").is_dir()


def test_a_taken_port_is_said_in_one_line(type_in) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = type_in("simulate", "--port", taken.getsockname()[1])
    assert (code, out) == (2, "")
    assert err.startswith("openeo-jobs: port ")


@pytest.mark.parametrize(
    "words", [["--out-of-memory", "2"], ["--run-seconds", "-1", "2"], ["--queue-seconds", "soon", "2"]]
)
def test_figures_that_make_no_sense_are_wrong_usage(type_in, words: list[str]) -> None:
    code, _, err = type_in("simulate", *words)
    assert code == 2
    assert words[0] in err
