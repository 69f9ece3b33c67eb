"""A script in a process of its own: it ends, it fails, it is interrupted exactly once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from openeo_jobs.cli.child import Child

COUNTS_SIGNALS = """
import pathlib, signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
pathlib.Path("ready").touch()
while not seen:
    time.sleep(0.01)
time.sleep(0.2)
print(len(seen))
sys.exit(7)
"""


def test_what_a_script_prints_and_how_it_ends_is_known(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys; print('hello'); sys.exit('no')")
    with Child("script.py", folder=tmp_path) as child:
        while not child.is_over():
            pass
    assert child.exit_code == 1
    assert child.output.split() == ["hello", "no"]
    assert not child.was_interrupted


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the terminal interrupts it")
def test_an_interruption_reaches_the_script_exactly_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(COUNTS_SIGNALS)
    with Child("script.py", folder=tmp_path) as child:
        while not (tmp_path / "ready").exists():
            assert not child.is_over()
        signal.raise_signal(signal.SIGINT)
        while not child.is_over():
            pass
    assert child.was_interrupted
    assert (child.exit_code, child.output.strip()) == (7, "1")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere it is killed")
def test_a_script_does_not_outlive_an_error_of_its_watcher(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(COUNTS_SIGNALS)
    with pytest.raises(ZeroDivisionError), Child("script.py", folder=tmp_path) as child:
        while not (tmp_path / "ready").exists():
            pass
        _ = 1 / 0
    assert child.exit_code == 7
