"""Whatever happens in whatever order, the promises hold: a state machine against a small model."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import bench as b
import pytest
from bench import NO_ANSWER, Bench, Crash, PoolInOrder, Script
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from every_write import WRITES, WRITES_OF_CHOSEN, read_row, writes_for
from openeo_jobs.errors import BackendRefusedError, JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.retries import can_retry
from openeo_jobs.tables import Merge, NewJob
from openeo_jobs.testing import FakeBatchJob, FakeGateway
from openeo_jobs.tracking import loop
from openeo_jobs.tracking.run import Run

BACKENDS = ("north", "south")
ROWS, MOST_ROWS, CAP = 4, 7, 2
BUSY = BackendRefusedError("[429] slow down", http_status=429)
BAD = BackendRefusedError("[400] no such process", http_status=400)
SCRIPTS: dict[str, Script] = {
    "create": b.create,
    "answer lost": b.lose_the_answer,
    "request lost": b.never_arrive,
    "killed on the wire": b.die_on_the_wire,
    "killed before the wire": b.die_before_the_wire,
    "killed before the return": b.die_before_the_return,
    "busy": b.refuse(BUSY),
    "refused": b.refuse(BAD),
}
BACKEND = st.sampled_from(BACKENDS)
ENDS = {
    *(JobStatus.FINISHED, JobStatus.ERROR, JobStatus.CANCELED),
    *(JobStatus.START_FAILED, JobStatus.LOST),
}
AFTER = {"queued": ("running", "finished", "error"), "running": ("finished", "error")}


class Course(RuleBasedStateMachine):
    """A campaign on two backends, and what may happen to it. The model: what they were asked for."""

    parent: ClassVar[Path]
    traces: ClassVar[list[list[tuple[Any, ...]]]] = []
    """What the backends were asked for in each course, in order."""
    seen: ClassVar[Counter[str]] = Counter()
    """How often something happened that a course may, or may not, come to."""

    @initialize(lost_after=st.sampled_from([1800.0, 10.0**6]))
    def begin(self, lost_after: float) -> None:
        self.bench = Bench(
            Path(tempfile.mkdtemp(dir=self.parent)),
            rows=ROWS,
            cap=CAP,
            backends=BACKENDS,
            pool=PoolInOrder,
            lost_after=lost_after,
            max_failures_in_a_row=None,
            cancel_running_after=timedelta(hours=1),
        )
        self.rows = ROWS
        self.vanished: set[str] = set()
        """The batch jobs that their backend has forgotten at least for a while."""
        self.stale: list[tuple[Run, list[Job]]] = []
        """Runs that were taken for dead, with the rows as they knew them."""

    def teardown(self) -> None:
        try:
            self.come_to_the_end()
        finally:
            for run, _ in self.stale:
                run.pool.close()
                run.store.close()
            self.seen.update(str(job.status) for job in self.bench.store.jobs.all())
            self.traces.append([call[:2] for one in self.gateways() for call in one.calls])
            Bench.opened.remove(self.bench)
            self.bench.close()

    @rule(name=st.sampled_from(sorted(SCRIPTS)))
    def submit(self, name: str) -> None:
        script = SCRIPTS[name]

        def play_once(bench: Bench, *rest: object) -> object:
            bench.script = b.create
            return script(bench, *rest)  # type: ignore[arg-type]

        self.bench.script = play_once  # type: ignore[assignment]
        self.poll(61)

    @rule(seconds=st.sampled_from([0, 61, 130, 1900]))
    def poll(self, seconds: float) -> None:
        try:
            self.bench.round(seconds)
        except Crash:
            self.kill()

    @rule(name=BACKEND, is_done=st.booleans())
    def lose_the_answer_of_a_start(self, name: str, is_done: bool) -> None:
        self.bench.gateways[name].fail_next("start", NO_ANSWER, after_effect=is_done)

    @rule(
        name=BACKEND,
        method=st.sampled_from(["get_batch_job", "list_batch_jobs", "start", "stop", "get_results"]),
    )
    def refuse(self, name: str, method: str) -> None:
        self.bench.gateways[name].fail_next(method, BUSY)

    @precondition(lambda self: self.moving())
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.moving()), label="batch job")
        one.status = data.draw(st.sampled_from(AFTER[one.status]), label="status")

    @rule()
    def run_for_too_long(self) -> None:
        self.poll(4000)

    @precondition(lambda self: self.moving())
    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        """A backend forgets a batch job."""
        one = data.draw(st.sampled_from(self.moving()), label="batch job")
        one.is_found = one.is_listed = False
        self.vanished.add(one.batch_job_id)

    @precondition(lambda self: self.vanished)
    @rule()
    def reappear(self) -> None:
        for one in self.batch_jobs():
            one.is_found = one.is_listed = True

    @precondition(lambda self: self.rows < MOST_ROWS)
    @rule(pin=st.sampled_from([None, *BACKENDS]))
    def add(self, pin: str | None) -> None:
        """A user appends a row, as `on_exists="append"` does."""
        new = NewJob(params=f"[{self.rows}]", index_label=str(self.rows), pinned_backend=pin)
        self.bench.store.campaigns.merge(Merge(known=1, new=(new,)), at=self.bench.now)
        self.rows += 1

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A user cancels a row, whatever it is."""
        number = data.draw(st.integers(1, self.rows), label="row")
        self.bench.store.cancellations.request([number], reason="asked for", at=self.bench.now)

    @precondition(lambda self: self.retryable())
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """A user asks for a new attempt."""
        job = data.draw(st.sampled_from(self.retryable()), label="row")
        self.seen["retried"] += self.bench.store.retries.retry([job], reason="asked for", at=self.bench.now)

    @rule()
    def kill(self) -> None:
        self.bench.restart()

    @rule()
    def take_over(self) -> None:
        """Somebody takes the run for dead, while it only sleeps."""
        self.stale.append((self.bench.run, self.bench.store.jobs.all()))
        self.bench.store = self.bench._open()
        self.bench.run = self.bench._begin()

    @precondition(lambda self: self.stale)
    @rule()
    def wake_a_stale_owner(self) -> None:
        """It is told that it was replaced, and nothing that it still wants to write is written."""
        run, jobs = self.stale[-1]
        assert not run.store.runners.record_round(run.runner_id, at=self.bench.now)
        owners = {job.number: job.owner_id for job in self.bench.store.jobs.all()}
        for job in jobs:
            if job.owner_id is not None and job.owner_id != owners[job.number]:
                self.write_everything(run, job)

    def write_everything(self, run: Run, job: Job) -> None:
        with self.bench.store._database.reading() as connection:
            before = read_row(connection, job.number)
        for name, write in writes_for(job).items():
            with suppress(JobMovedError):
                write(run.store, job, self.bench.now)
            self.seen[name] += 1
        with self.bench.store._database.reading() as connection:
            assert read_row(connection, job.number) == before

    @invariant()
    def what_was_started_is_known_and_was_started_once(self) -> None:
        known = set(self.known_ids())
        started = [one for one in self.batch_jobs() if one.starts]
        assert [one.batch_job_id for one in started if one.batch_job_id not in known] == []
        assert [one.batch_job_id for one in started if one.starts > 1] == []

    @invariant()
    def an_attempt_has_one_batch_job_that_was_started(self) -> None:
        tags = [str(one.title) for one in self.batch_jobs() if one.starts]
        assert len(tags) == len(set(tags))

    @invariant()
    def no_more_than_the_cap_are_active(self) -> None:
        for gateway in self.gateways():
            assert len([one for one in gateway.batch_jobs.values() if self.is_moving(one)]) <= CAP

    @invariant()
    def an_end_is_what_the_backend_says(self) -> None:
        known = {one.batch_job_id: one.status for one in self.batch_jobs()}
        for job in self.bench.store.jobs.of_status([JobStatus.FINISHED, JobStatus.ERROR]):
            assert known[str(job.batch_job_id)] == job.status

    def come_to_the_end(self) -> None:
        """Nothing goes wrong any more: no row may be stuck."""
        self.bench.script = b.create
        if self.bench.run.settings.lost_after > timedelta(days=1):
            self.reappear()
        for _ in range(60):
            self.bench.round(1900)
            for one in self.batch_jobs():
                one.status = "finished" if one.status in AFTER else one.status
            if not loop.work_left(self.bench.run):
                break
        jobs = self.bench.store.jobs.all()
        assert len(jobs) == self.rows
        assert not loop.work_left(self.bench.run), [(job.number, job.status) for job in jobs]
        assert [(job.number, job.status) for job in jobs if job.status not in ENDS] == []
        assert {one.batch_job_id for one in self.batch_jobs()} - set(self.known_ids()) == set()

    def gateways(self) -> list[FakeGateway]:
        return list(self.bench.gateways.values())

    def batch_jobs(self) -> list[FakeBatchJob]:
        return [one for gateway in self.gateways() for one in gateway.batch_jobs.values()]

    def moving(self) -> list[FakeBatchJob]:
        return list(filter(self.is_moving, self.batch_jobs()))

    def is_moving(self, one: FakeBatchJob) -> bool:
        return one.status in AFTER and one.batch_job_id not in self.vanished

    def retryable(self) -> list[Job]:
        return [job for job in self.bench.store.jobs.all() if can_retry(job)]

    def known_ids(self) -> list[str | None]:
        with self.bench.store._database.reading() as connection:
            return list(connection.exec_driver_sql("SELECT batch_job_id FROM batch_job").scalars())


@pytest.fixture
def course(tmp_path: Path) -> type[Course]:
    Course.parent = tmp_path
    Course.traces.clear()
    Course.seen.clear()
    return Course


STEADY: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def few(number: int) -> settings:
    """Return the settings for a few courses, always the same ones."""
    return settings(
        max_examples=number, stateful_step_count=12, derandomize=True, phases=[Phase.generate], **STEADY
    )


def test_the_promises_hold_whatever_happens(course: type[Course]) -> None:
    """And the same course goes the same way again: else hypothesis can neither repeat nor shrink one."""
    run_state_machine_as_test(course, settings=few(6))
    first, course.traces[:] = list(course.traces), []
    run_state_machine_as_test(course, settings=few(6))
    assert min(map(len, first)) > 0
    assert course.traces == first


def test_a_course_in_which_a_stale_owner_writes_everything(course: type[Course]) -> None:
    state = course()
    state.begin(lost_after=1800.0)
    state.submit(name="answer lost")
    state.take_over()
    state.poll(seconds=61)
    state.wake_a_stale_owner()
    state.teardown()
    assert course.seen.keys() >= {*WRITES, *WRITES_OF_CHOSEN}


@pytest.mark.long
def test_the_promises_hold_whatever_happens_in_many_courses(course: type[Course]) -> None:
    many = settings(max_examples=200, stateful_step_count=40, print_blob=True, **STEADY)
    run_state_machine_as_test(course, settings=many)
    print(dict(course.seen))
    assert course.seen.keys() >= {"retried", *ENDS, *WRITES, *WRITES_OF_CHOSEN}
