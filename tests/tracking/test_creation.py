"""Creating a batch job exactly once: what is stored before a request leaves, and what becomes of it after."""

from __future__ import annotations

from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Outcome
from openeo_jobs.policy.attempts import read_max_attempts
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking.user_code import Returned

LIMIT = BackendRefusedError("concurrent job limit (2) is reached", http_status=400, code="ConcurrentJobLimit")
BUSY = BackendUnavailableError("busy", http_status=503, code="InfrastructureBusy")
BAD = BackendRefusedError("no such collection", http_status=400, code="CollectionNotFound")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_intent_is_stored_before_the_request_leaves(bench: Bench) -> None:
    seen = []

    def script(bench, job, gateway, watcher):
        intent = watcher.creating("north", "f" * 64, can_tag=True)
        seen.extend(bench.store.creations.unresolved(bench.run.runner_id))
        watcher.created(intent, Outcome.CREATED, gateway.create(f"tile [{intent.tag}]"), None)
        return Returned(backend_name="north", batch_job_id="north-1")

    bench.script = script
    bench.round()
    ((job, [stored]),) = seen
    assert job.status is JobStatus.SUBMITTING
    assert (stored.outcome, stored.fingerprint) == (Outcome.UNKNOWN, "f" * 64)
    assert stored.sent_at == bench.now
    assert stored.tag is not None
    assert stored.tag.startswith("oj-abcdef-1-")
    assert bench.status() is JobStatus.QUEUED_FOR_START


def test_a_lost_answer_is_found_again_by_its_tag_at_once(bench: Bench) -> None:
    """openEO's own manager: the client repeats the POST; a 504 made four batch jobs for one row."""
    bench.script = b.lose_the_answer
    bench.round()
    assert bench.status() is JobStatus.SUBMITTING
    bench.script = b.create
    bench.round(120)
    assert len(bench.gateway.batch_jobs) == 1
    assert bench.job().batch_job_id == "north-1"
    assert bench.gateway.batch_jobs["north-1"].starts == 1
    assert bench.job().attempt.number == 1


def test_a_request_that_never_arrived_takes_two_listings_and_the_grace(bench: Bench) -> None:
    bench.script = b.never_arrive
    bench.round()
    bench.script = b.create
    bench.round(121)  # the first listing; the backend was paused before
    assert bench.status() is JobStatus.SUBMITTING
    bench.round(1)
    assert bench.status() is JobStatus.NOT_STARTED
    bench.round(61)  # the rows behind it had their turn
    assert bench.status() is JobStatus.QUEUED_FOR_START
    assert bench.job().attempt.number == 2
    assert len(bench.gateway.batch_jobs) == 1


def test_one_listing_is_no_proof_however_late(bench: Bench) -> None:
    bench.script = b.never_arrive
    bench.round()
    bench.round(100_000)
    assert bench.status() is JobStatus.SUBMITTING


def test_two_listings_within_the_grace_are_no_proof(bench: Bench) -> None:
    bench.script = b.never_arrive
    bench.round()
    bench.store.backends.resume("north")
    for _ in range(5):
        bench.round(10)
    assert bench.status() is JobStatus.SUBMITTING


def test_a_listing_that_lags_shorter_than_the_grace_makes_no_duplicate(bench: Bench) -> None:
    bench.script = b.lose_the_answer
    bench.round()
    bench.gateway.batch_jobs["north-1"].is_listed = False
    bench.store.backends.resume("north")
    bench.round(60)
    bench.gateway.batch_jobs["north-1"].is_listed = True
    bench.round(80)
    bench.round(1)
    assert len(bench.gateway.batch_jobs) == 1
    assert bench.job().batch_job_id == "north-1"


def test_an_incomplete_listing_proves_nothing(bench: Bench) -> None:
    bench.script = b.never_arrive
    bench.gateway.is_listing_complete = False
    bench.round()
    for _ in range(5):
        bench.round(200)
    assert bench.status() is JobStatus.SUBMITTING


def test_a_backend_that_drops_titles_leaves_it_to_a_person(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, cap=1)
    bench.round()
    bench.gateway.batch_jobs["north-1"].title = None
    bench.round(60)
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.script = b.lose_the_answer
    bench.round(60)
    bench.gateway.batch_jobs["north-2"].title = None
    bench.round(200)
    job = bench.job(2)
    assert job.status is JobStatus.SUBMITTING
    assert job.needs_person_since is not None
    assert "does not return the titles" in str(job.needs_person_reason)
    assert len(bench.gateway.batch_jobs) == 2


def test_without_tags_an_unknown_outcome_is_left_to_a_person(tmp_path: Path) -> None:
    bench = Bench(tmp_path, tags_titles=False)
    bench.script = b.lose_the_answer
    bench.round()
    bench.round(200)
    assert "tag_titles=False" in str(bench.job().needs_person_reason)
    assert bench.gateway.batch_jobs["north-1"].title == "tile"


def test_copies_that_a_proxy_made_are_recorded_and_never_started(bench: Bench) -> None:
    def script(bench, job, gateway, watcher):
        intent = watcher.creating("north", "f", can_tag=True)
        for _ in range(3):
            gateway.create(f"tile [{intent.tag}]")
        watcher.created(intent, Outcome.UNKNOWN, None, None)
        watcher.saw("north", b.NO_ANSWER)
        raise b.NO_ANSWER

    bench.script = script
    bench.round()
    bench.round(200)
    bench.round(1)
    assert [one.starts for one in bench.gateway.batch_jobs.values()] == [1, 0, 0]
    with bench.store._database.reading() as connection:
        known = connection.exec_driver_sql("SELECT id FROM batch_jobs ORDER BY 1").scalars().all()
    assert known == ["north-1", "north-2", "north-3"]


def test_killed_before_anything_was_sent_is_back_in_line_at_once(bench: Bench) -> None:
    bench.script = b.die_before_the_wire
    with pytest.raises(b.Crash):
        bench.round()
    assert bench.status() is JobStatus.SUBMITTING
    bench.script = b.create
    bench.restart()
    bench.round()
    assert bench.status() is JobStatus.QUEUED_FOR_START


def test_killed_while_the_request_is_on_the_wire_adopts_what_it_created(bench: Bench) -> None:
    bench.script = b.die_on_the_wire
    with pytest.raises(b.Crash):
        bench.round()
    bench.script = b.create
    bench.restart()
    bench.round()
    bench.round(1)
    assert len(bench.gateway.batch_jobs) == 1
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_killed_before_the_return_adopts_the_one_that_is_known(bench: Bench) -> None:
    bench.script = b.die_before_the_return
    with pytest.raises(b.Crash):
        bench.round()
    bench.restart()
    bench.round()
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_killed_after_several_were_created_waits_for_a_person(bench: Bench) -> None:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher)
        b.post(bench, job, gateway, watcher)
        raise b.Crash

    bench.script = script
    with pytest.raises(b.Crash):
        bench.round()
    bench.restart()
    bench.round()
    assert "2 batch jobs were created (north-1, north-2)" in str(bench.job().needs_person_reason)
    assert all(one.starts == 0 for one in bench.gateway.batch_jobs.values())


def test_what_a_failed_callback_created_is_never_started(bench: Bench) -> None:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher)
        raise KeyError("west")

    bench.script = script
    bench.round()
    bench.round(500)
    assert bench.status() is JobStatus.START_FAILED
    assert bench.job().attempt.failure.message == "KeyError: 'west' in start_job"
    assert bench.gateway.batch_jobs["north-1"].starts == 0


def test_the_job_that_is_returned_is_the_attempts_whatever_else_was_created(bench: Bench) -> None:
    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher)
        return Returned(backend_name="north", batch_job_id=str(b.post(bench, job, gateway, watcher)))

    bench.script = script
    bench.round()
    assert [one.starts for one in bench.gateway.batch_jobs.values()] == [0, 1]


@pytest.mark.parametrize("error", [LIMIT, BUSY])
def test_a_backend_that_asks_to_wait_puts_the_row_back_in_line(bench: Bench, error) -> None:
    """openEO's own manager: a concurrency limit makes the row `start_failed` for ever."""
    bench.script = b.refuse(error)
    bench.round()
    assert bench.status() is JobStatus.NOT_STARTED
    (backend,) = bench.store.backends.all()
    assert backend.paused_reason == str(error)
    bench.script = b.create
    bench.round(1)
    assert bench.status() is JobStatus.NOT_STARTED
    bench.round(600)
    assert bench.status() is JobStatus.QUEUED_FOR_START


def test_a_definite_refusal_fails_the_row_with_its_reason(bench: Bench) -> None:
    bench.script = b.refuse(BAD)
    bench.round()
    failure = bench.job().attempt.failure
    assert bench.status() is JobStatus.START_FAILED
    assert (failure.http_status, failure.code, failure.at) == (400, "CollectionNotFound", bench.now)


def test_a_failure_that_may_pass_is_tried_three_times(bench: Bench) -> None:
    bench.script = b.refuse(BackendUnavailableError("oops", http_status=500))
    for _ in range(5):
        bench.round(100)
    assert bench.status() is JobStatus.START_FAILED
    assert bench.job().attempt.number == 3


def test_a_batch_job_from_elsewhere_is_looked_at_before_anything_is_done_with_it(bench: Bench) -> None:
    """A start would throw the results of one that has finished away (openEO API 1.2.0)."""
    bench.gateway.create("old", status="finished")
    bench.script = lambda *_: Returned(backend_name="north", batch_job_id="north-1")
    bench.round()
    assert bench.status() is JobStatus.SUBMITTING
    bench.round(60)
    assert bench.status() is JobStatus.FINISHED
    assert bench.count("start") == 0


def test_two_rows_may_share_a_batch_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2)
    bench.gateway.create("shared")
    bench.script = lambda *_: Returned(backend_name="north", batch_job_id="north-1")
    for _ in range(3):
        bench.round(60)
    assert bench.gateway.batch_jobs["north-1"].starts == 1
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.round(60)
    assert [bench.status(1), bench.status(2)] == [JobStatus.FINISHED, JobStatus.FINISHED]


def test_rows_are_submitted_in_order_up_to_the_cap(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=5, cap=2)
    bench.round()
    assert [bench.status(n) for n in range(1, 6)] == [JobStatus.QUEUED_FOR_START] * 2 + [
        JobStatus.NOT_STARTED
    ] * 3
    bench.gateway.batch_jobs["north-2"].status = "finished"
    bench.round(60)
    assert [bench.status(n).value for n in range(1, 6)] == [
        *("queued", "finished", "queued_for_start", "not_started", "not_started")
    ]


def start_and_raise(error: Exception, *, is_sent: bool, start_error: Exception | None) -> b.Script:
    """Create and start a batch job, as callbacks may, and raise."""

    def script(bench, job, gateway, watcher):
        batch_job_id = str(b.post(bench, job, gateway, watcher))
        watcher.starting("north", batch_job_id)
        if is_sent:
            gateway.start(batch_job_id)
        watcher.started("north", batch_job_id, start_error)
        watcher.saw("north", error)
        raise error

    return script


@pytest.mark.parametrize("error", [LIMIT, BUSY], ids=str)
def test_a_callback_that_is_refused_the_start_keeps_its_batch_job(bench: Bench, error) -> None:
    """openEO's own manager: the row is `start_failed` for ever."""
    bench.script = start_and_raise(error, is_sent=False, start_error=error)
    bench.round()
    assert bench.job().batch_job_id == "north-1"
    for _ in range(4):
        bench.round(130)
    assert len(bench.gateway.batch_jobs) == 1
    assert bench.gateway.batch_jobs["north-1"].starts == 1


@pytest.mark.parametrize("start_error", [None, BUSY, b.NO_ANSWER], ids=str)
def test_what_a_callback_started_before_its_backend_went_away_is_not_computed_twice(
    bench: Bench, start_error
) -> None:
    bench.script = start_and_raise(BUSY, is_sent=True, start_error=start_error)
    for _ in range(6):
        bench.round(4000)
    assert bench.status() is JobStatus.QUEUED
    assert len(bench.gateway.batch_jobs) == 1
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_what_a_callback_started_before_it_failed_is_not_computed_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_attempts=read_max_attempts({"permanent": 3}))
    bench.script = start_and_raise(KeyError("west"), is_sent=True, start_error=None)
    for _ in range(6):
        bench.round(4000)
    assert bench.status() is JobStatus.START_FAILED
    assert len(bench.gateway.batch_jobs) == 1


EXPIRED = BackendRefusedError("[403] TokenInvalid: expired", http_status=403, code="TokenInvalid")
UNPAID = BackendRefusedError("[402] PaymentRequired", http_status=402, code="PaymentRequired")


def create_and_raise(error, *, on="north", refused=0, times=1):
    def script(bench, job, gateway, watcher):
        for _ in range(refused):
            b.post(bench, job, bench.gateways[on], watcher, arrives=False, outcome=Outcome.NOT_CREATED)
        for _ in range(times):
            b.post(bench, job, bench.gateways[on], watcher)
        watcher.saw(on, error)
        raise error

    return script


@pytest.mark.parametrize("error", [LIMIT, BUSY, EXPIRED, UNPAID, b.NO_ANSWER], ids=str)
@pytest.mark.parametrize("refused", [0, 1])
def test_a_backend_that_pauses_after_the_creation_costs_the_row_nothing(bench: Bench, error, refused) -> None:
    """openEO's own manager: the row is `start_failed` for ever, and its batch job an orphan."""
    bench.script = create_and_raise(error, refused=refused)
    bench.round()
    assert bench.status() is JobStatus.CREATED
    assert bench.job().attempt.failure is None
    for _ in range(4):
        bench.round(4000)
    assert [one.starts for one in bench.gateway.batch_jobs.values()] == [1]
    assert bench.store.orphans.count() == 0


def test_what_was_created_on_another_backend_is_kept_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, backends=("north", "south"))
    bench.script = create_and_raise(UNPAID, on="south")
    bench.round()
    assert (bench.job().backend_name, bench.job().batch_job_id) == ("south", "south-1")


def test_of_several_that_were_created_none_is_kept(bench: Bench) -> None:
    bench.script = create_and_raise(UNPAID, times=2)
    bench.round()
    bench.round(500)
    assert bench.status() is JobStatus.START_FAILED
    assert bench.store.orphans.count() == 2


def test_a_callback_that_wants_to_leave_fails_its_row_only(tmp_path: Path) -> None:
    def leave(bench, job, gateway, watcher):
        if job.number == 1:
            raise SystemExit("no credits left")
        return b.create(bench, job, gateway, watcher)

    bench = Bench(tmp_path, rows=2)
    bench.script = leave
    bench.round()
    assert bench.job(1).attempt.failure.message == "SystemExit: no credits left in start_job"
    assert [bench.status(1), bench.status(2)] == [JobStatus.START_FAILED, JobStatus.QUEUED_FOR_START]
