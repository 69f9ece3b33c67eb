"""The intent is on the disk before the create request leaves: what a power cut leaves there knows of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from zygote import Order, Process, zygote

from openeo_jobs.simulator import Simulator

COMPILER = shutil.which("cc")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="watches the system calls of Linux"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler (cc) for what watches the system calls"),
]


@pytest.fixture(scope="module")
def watched_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("order")
    library, source = folder / "order.so", Path(__file__).with_name("order.c")
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    with zygote(folder, LD_PRELOAD=str(library)) as address:
        yield address


def find_unsynced(address: str, folder: Path, backend: Simulator, *changes: str) -> set[str]:
    """Run a row; return what had not reached the disk for certain when its create request left."""
    log = folder / "order.txt"
    order = Order(folder=str(folder), url=backend.url, changes=changes, environment={"ORDER_LOG": str(log)})
    life = Process(address, order).wait()
    assert life.error is None, life.error
    database, journal = str(folder / "jobs.sqlite"), str(folder / "jobs.sqlite-journal")
    unsynced: set[str] = set()
    was_written = False
    for what, _, which in (line.partition(" ") for line in log.read_text().splitlines()):
        if what == "write" and which in (database, journal):
            unsynced.add(which)
            was_written |= which == database
        elif what == "remove" and which == journal:
            unsynced = (unsynced - {journal}) | {"the removal of the journal"}
        elif what == "sync":
            unsynced -= {which} if which != str(folder) else {"the removal of the journal"}
        elif what == "send" and which.startswith("POST /jobs "):
            assert was_written
            return unsynced
        elif what == "send":
            was_written = False
    raise AssertionError("no create request has left")


def test_the_intent_is_on_the_disk_before_the_create_request_leaves(
    watched_address: str, backend: Simulator, tmp_path: Path
) -> None:
    assert find_unsynced(watched_address, tmp_path, backend) == set()


def test_without_waiting_for_the_disk_the_intent_may_be_lost(
    watched_address: str, backend: Simulator, tmp_path: Path
) -> None:
    """The control."""
    left = find_unsynced(watched_address, tmp_path, backend, "sync_nothing")
    assert str(tmp_path / "jobs.sqlite") in left


def test_a_journal_that_may_come_back_would_undo_the_intent(
    watched_address: str, backend: Simulator, tmp_path: Path
) -> None:
    """A removal is on the disk once its folder is; `synchronous=FULL` does not wait for that."""
    left = find_unsynced(watched_address, tmp_path, backend, "sync_no_folders")
    assert left == {"the removal of the journal"}
