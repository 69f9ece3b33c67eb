"""Orphans are deleted only where a person says so, and never what a row uses or has started."""

from __future__ import annotations

from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendUnavailableError
from openeo_jobs.storage.orphans import Orphan
from openeo_jobs.tracking.deletion import Deletion, delete_orphan


def fail_after_creating(bench, job, gateway, watcher):
    b.post(bench, job, gateway, watcher)
    raise KeyError("west")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.script = fail_after_creating
    bench.round()
    return bench


def delete(bench: Bench, orphan: Orphan, *, even_if_started: bool = False) -> Deletion:
    return delete_orphan(bench.store, bench.gateway, orphan, even_if_started=even_if_started, at=bench.now)


def test_an_inert_orphan_is_deleted_and_that_is_stored(bench: Bench) -> None:
    (orphan,) = bench.store.orphans.open()
    assert delete(bench, orphan) is Deletion.DELETED
    assert bench.gateway.batch_jobs == {}
    assert bench.store.orphans.open() == []


def test_one_that_is_gone_already_is_settled(bench: Bench) -> None:
    (orphan,) = bench.store.orphans.open()
    bench.gateway.batch_jobs.clear()
    assert delete(bench, orphan) is Deletion.GONE
    assert bench.store.orphans.open() == []


def test_one_that_is_hidden_because_it_is_another_accounts_is_not_taken_for_gone(bench: Bench) -> None:
    bench.gateway = bench.gateways["north"] = bench.gateway.log_in_as("xenia")
    bench.restart()
    bench.script = fail_after_creating
    bench.store.retries.retry(bench.store.jobs.all(), reason="again", at=bench.now)
    bench.round(60)
    orphan = bench.store.orphans.open()[-1]
    bench.gateway = bench.gateway.log_in_as("yvonne")
    assert delete(bench, orphan) is Deletion.HIDDEN
    assert orphan in bench.store.orphans.open()


def test_one_that_a_row_has_adopted_meanwhile_is_kept(bench: Bench) -> None:
    (orphan,) = bench.store.orphans.open()
    bench.store.adoptions.adopt(
        bench.job(), backend_name="north", batch_job_id=orphan.batch_job_id, reason="", at=bench.now
    )
    assert delete(bench, orphan, even_if_started=True) is Deletion.USED
    assert list(bench.gateway.batch_jobs) == ["north-1"]


def test_one_that_runs_is_deleted_only_by_name(bench: Bench) -> None:
    (orphan,) = bench.store.orphans.open()
    bench.gateway.batch_jobs["north-1"].status = "running"
    assert delete(bench, orphan) is Deletion.STARTED
    assert delete(bench, orphan, even_if_started=True) is Deletion.DELETED


def test_one_that_start_job_has_started_is_never_deleted(tmp_path: Path) -> None:
    def script(bench, job, gateway, watcher):
        batch_job_id = str(b.post(bench, job, gateway, watcher))
        watcher.starting("north", batch_job_id)
        watcher.started("north", batch_job_id, None)
        raise KeyError("west")

    bench = Bench(tmp_path)
    bench.script = script
    bench.round()
    (orphan,) = bench.store.orphans.open()
    assert delete(bench, orphan, even_if_started=True) is Deletion.STARTED
    assert list(bench.gateway.batch_jobs) == ["north-1"]


def test_a_backend_that_does_not_answer_settles_nothing(bench: Bench) -> None:
    (orphan,) = bench.store.orphans.open()
    bench.gateway.fail_next("delete", BackendUnavailableError("no answer in time"))
    with pytest.raises(BackendUnavailableError):
        delete(bench, orphan)
    assert bench.store.orphans.open() == [orphan]
