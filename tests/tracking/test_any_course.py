"""Whatever happens in whatever order, the promises hold: a state machine against a small model."""

from __future__ import annotations

import tempfile
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
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from openeo_jobs.errors import BackendRefusedError, JobMovedError
from openeo_jobs.jobs import Job
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.retries import can_retry
from openeo_jobs.testing import FakeBatchJob
from openeo_jobs.tracking import loop
from openeo_jobs.tracking.run import Run

ROWS, CAP = 4, 3
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
AFTER = {"queued": ("running", "finished", "error"), "running": ("finished", "error")}


class Course(RuleBasedStateMachine):
    """A campaign on one backend, and what may happen to it. The model: what the backend was asked for."""

    parent: ClassVar[Path]
    traces: ClassVar[list[list[tuple[Any, ...]]]] = []
    """What the backend was asked for in each course, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(
            Path(tempfile.mkdtemp(dir=self.parent)),
            rows=ROWS,
            cap=CAP,
            pool=PoolInOrder,
            lost_after=10.0**6,  # no listing is awaited in vain for so long that a person is asked
            max_failures_in_a_row=None,
            cancel_running_after=timedelta(hours=1),
        )
        self.stale: list[tuple[Run, list[Job]]] = []
        """Runs that were taken for dead, with the rows as they knew them."""

    def teardown(self) -> None:
        try:
            self.come_to_the_end()
        finally:
            for run, _ in self.stale:
                run.pool.close()
                run.store.close()
            self.traces.append([call[:2] for call in self.bench.gateway.calls])
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

    @rule(is_done=st.booleans())
    def lose_the_answer_of_a_start(self, is_done: bool) -> None:
        self.bench.gateway.fail_next("start", NO_ANSWER, after_effect=is_done)

    @rule(method=st.sampled_from(["get_batch_job", "list_batch_jobs", "start", "stop", "get_results"]))
    def refuse(self, method: str) -> None:
        self.bench.gateway.fail_next(method, BUSY)

    @precondition(lambda self: self.moving())
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.moving()), label="batch job")
        one.status = data.draw(st.sampled_from(AFTER[one.status]), label="status")

    @rule()
    def run_for_too_long(self) -> None:
        self.poll(4000)

    @rule()
    def retry(self) -> None:
        jobs = [job for job in self.bench.store.jobs.all() if can_retry(job)]
        self.bench.store.retries.retry(jobs, reason="asked for", at=self.bench.now)

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
        """It is told that it was replaced, and what it still wants to send does not leave."""
        run, jobs = self.stale[-1]
        assert not run.store.runners.record_round(run.runner_id, at=self.bench.now)
        for job in jobs:
            if job.status is JobStatus.SUBMITTING:
                with pytest.raises(JobMovedError):
                    run.store.creations.record_intent(
                        job, backend_name="north", fingerprint="f", tag="stale", at=self.bench.now
                    )

    @invariant()
    def what_was_started_is_known_and_was_started_once(self) -> None:
        known = {one for one in self.known_ids() if one is not None}
        started = [one for one in self.bench.gateway.batch_jobs.values() if one.starts]
        assert [one.batch_job_id for one in started if one.batch_job_id not in known] == []
        assert [one.batch_job_id for one in started if one.starts > 1] == []

    @invariant()
    def an_attempt_has_one_batch_job_that_was_started(self) -> None:
        tags = [str(one.title) for one in self.bench.gateway.batch_jobs.values() if one.starts]
        assert len(tags) == len(set(tags))

    @invariant()
    def no_more_than_the_cap_are_active(self) -> None:
        assert len(self.moving()) <= CAP

    @invariant()
    def an_end_is_what_the_backend_says(self) -> None:
        for job in self.bench.store.jobs.of_status([JobStatus.FINISHED, JobStatus.ERROR]):
            assert self.bench.gateway.batch_jobs[str(job.batch_job_id)].status == job.status

    def come_to_the_end(self) -> None:
        """Nothing goes wrong any more: no row may be stuck."""
        self.bench.script = b.create
        for _ in range(60):
            self.bench.round(1900)
            for one in self.moving():
                one.status = "finished"
            if not loop.work_left(self.bench.run):
                break
        jobs = self.bench.store.jobs.all()
        assert len(jobs) == ROWS
        assert not loop.work_left(self.bench.run), [(job.number, job.status) for job in jobs]
        finals = {JobStatus.FINISHED, JobStatus.ERROR, JobStatus.CANCELED, JobStatus.START_FAILED}
        assert {job.status for job in jobs} <= finals
        assert self.moving() == []
        assert self.bench.gateway.batch_jobs.keys() - set(self.known_ids()) == set()

    def moving(self) -> list[FakeBatchJob]:
        return [one for one in self.bench.gateway.batch_jobs.values() if one.status in AFTER]

    def known_ids(self) -> list[str | None]:
        with self.bench.store._database.reading() as connection:
            return list(connection.exec_driver_sql("SELECT batch_job_id FROM batch_job").scalars())


@pytest.fixture
def course(tmp_path: Path) -> type[Course]:
    Course.parent = tmp_path
    Course.traces.clear()
    return Course


STEADY: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def few(number: int) -> settings:
    """Return the settings for a few courses, always the same ones."""
    return settings(
        max_examples=number, stateful_step_count=12, derandomize=True, phases=[Phase.generate], **STEADY
    )


def test_the_promises_hold_whatever_happens(course: type[Course]) -> None:
    run_state_machine_as_test(course, settings=few(6))


def test_the_same_course_goes_the_same_way_again(course: type[Course]) -> None:
    """Else hypothesis can neither repeat nor shrink one in which a promise is broken."""
    run_state_machine_as_test(course, settings=few(3))
    first, course.traces[:] = list(course.traces), []
    run_state_machine_as_test(course, settings=few(3))
    assert min(map(len, first)) > 0
    assert course.traces == first


@pytest.mark.long
def test_the_promises_hold_whatever_happens_in_many_courses(course: type[Course]) -> None:
    many = settings(max_examples=200, stateful_step_count=40, print_blob=True, **STEADY)
    run_state_machine_as_test(course, settings=many)
