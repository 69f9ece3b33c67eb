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

from openeo_jobs.cli.arguments import make_parser
from openeo_jobs.cli.simulate import read_failures
from openeo_jobs.simulator import PROFILES, Failures


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


def test_the_profiles_are_listed_one_a_line(type_in) -> None:
    code, out, err = type_in("simulate", "--list-profiles")
    assert (code, err) == (0, "")
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        [name, profile.summary] for name, profile in PROFILES.items()
    ]


def test_a_profile_that_does_not_exist_is_wrong_usage(type_in) -> None:
    code, out, err = type_in("simulate", "--profile", "nonsense")
    assert (code, out) == (2, "")
    assert "there is no profile 'nonsense'; there are: specification, " in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["--out-of-memory", "0.5"], Failures(out_of_memory=0.5)),
        (
            ["--profile", "other-answers", "--stage-failure", "0.2"],
            Failures(out_of_memory=0.1, vanished=0.1, stage_failure=0.2),
        ),
    ],
)
def test_shares_that_are_given_change_those_of_the_profile(words: list[str], expected) -> None:
    assert read_failures(make_parser().parse_args(["simulate", *words])) == expected
