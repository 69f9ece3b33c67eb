"""Deletions on a backend: what was true when the plan was made is looked at again before each one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendRefusedError
from openeo_jobs.jobs import Job
from openeo_jobs.policy.removal import Kept, Kind
from openeo_jobs.testing import FakeGateway
from openeo_jobs.tracking.removal import AT_A_TIME, Plan, Removed, Remover, plan

NOBODY: frozenset[int | None] = frozenset()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Make a campaign of 6 rows, of which 4 are complete, and 2 run."""
    bench = Bench(tmp_path, rows=6, cap=6)
    bench.round()
    for number in range(1, 7):
        fake = bench.gateway.batch_jobs[f"north-{number}"]
        fake.status, fake.results = ("finished" if number < 5 else "running"), {"a.tif": b"aaa"}
    bench.round(60)
    bench.round(60)
    return bench


def make_plan(bench: Bench, *, alive: frozenset[int | None] = NOBODY, rows: list[int] | None = None) -> Plan:
    return plan(bench.store, alive=alive, rows=rows, keep_failed=False)


def remove(
    bench: Bench,
    planned: Plan,
    *,
    find_alive: Callable[[], frozenset[int | None]] = lambda: NOBODY,
    gateway: FakeGateway | None = None,
) -> list[Removed]:
    remover = Remover(
        store=bench.store, gateway=gateway or bench.gateway, uid=bench.run.campaign.uid, keep_failed=False,
        find_alive=find_alive, now=lambda: bench.now,
    )  # fmt: skip
    return list(remover.remove_all(planned.chosen, sleep=lambda seconds: None))


def reasons(removed: list[Removed]) -> list[object]:
    return [one.reason for one in removed]


def test_rows_under_way_keep_their_batch_jobs(bench: Bench) -> None:
    planned = make_plan(bench)
    assert [one.rows for one in planned.chosen] == [(1,), (2,), (3,), (4,)]
    assert planned.kept == {Kept.UNDER_WAY: 2}
    assert reasons(remove(bench, planned)) == [None] * 4
    assert sorted(bench.gateway.batch_jobs) == ["north-5", "north-6"]
    assert make_plan(bench).chosen == []


def test_rows_of_a_live_runner_keep_theirs_also_if_it_has_come_meanwhile(bench: Bench) -> None:
    alive = frozenset({bench.run.runner_id})
    assert make_plan(bench, alive=alive).chosen == []
    planned = make_plan(bench)
    assert reasons(remove(bench, planned, find_alive=lambda: alive)) == [Kept.OWNED] * 4
    assert len(bench.gateway.batch_jobs) == 6


def test_a_batch_job_that_has_become_another_rows_meanwhile_stays(tmp_path: Path) -> None:
    def fail_after_creating(bench: Bench, job: Job, gateway, watcher):
        b.post(bench, job, gateway, watcher)
        raise KeyError("west")

    bench = Bench(tmp_path)
    bench.script = fail_after_creating
    bench.round()
    planned = make_plan(bench)
    assert [one.kind for one in planned.chosen] == [Kind.ORPHAN]
    bench.store.adoptions.adopt(
        bench.job(), backend_name="north", batch_job_id="north-1", reason="", at=bench.now
    )
    assert reasons(remove(bench, planned)) == [Kept.MOVED]
    assert list(bench.gateway.batch_jobs) == ["north-1"]


def test_a_row_that_is_computed_anew_meanwhile_keeps_its_batch_job(bench: Bench) -> None:
    planned = make_plan(bench, rows=[1])
    bench.store.retries.retry([bench.job(1)], reason="again", at=bench.now)
    assert reasons(remove(bench, planned)) == [Kept.INCOMPLETE]
    assert "north-1" in bench.gateway.batch_jobs


def test_files_are_read_right_before_the_deletion(bench: Bench) -> None:
    planned = make_plan(bench, rows=[1, 2])
    (bench.folder / "job_north-1" / "a.tif").write_bytes(b"aab")
    assert reasons(remove(bench, planned)) == [Kept.FILES, None]
    assert "north-1" in bench.gateway.batch_jobs


def test_who_takes_a_row_while_its_files_are_read_keeps_its_batch_job(bench: Bench) -> None:
    answers = iter([NOBODY, frozenset({bench.run.runner_id})])
    planned = make_plan(bench, rows=[1])
    assert reasons(remove(bench, planned, find_alive=lambda: next(answers))) == [Kept.OWNED]
    assert "north-1" in bench.gateway.batch_jobs


def test_a_deletion_that_somebody_else_has_made_first_counts(bench: Bench) -> None:
    class Late(FakeGateway):
        def delete(self, batch_job_id: str) -> None:
            super().delete(batch_job_id)
            raise BackendRefusedError("[404] JobNotFound", http_status=404, code="JobNotFound")

    late = Late("north")
    late.batch_jobs = bench.gateway.batch_jobs
    assert reasons(remove(bench, make_plan(bench), gateway=late)) == [None] * 4
    assert make_plan(bench).chosen == []


def test_few_are_asked_for_at_a_time(bench: Bench) -> None:
    class Counting(FakeGateway):
        lock = threading.Lock()
        under_way = most = 0

        def get_batch_job(self, batch_job_id: str):
            with self.lock:
                self.under_way += 1
                self.most = max(self.most, self.under_way)
            time.sleep(0.05)
            with self.lock:
                self.under_way -= 1
            return super().get_batch_job(batch_job_id)

    counting = Counting("north")
    counting.batch_jobs = bench.gateway.batch_jobs
    planned = make_plan(bench)
    remove(bench, Plan(chosen=planned.chosen * 4), gateway=counting)
    assert counting.most == AT_A_TIME
