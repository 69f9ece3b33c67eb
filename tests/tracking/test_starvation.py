"""One row's trouble, or one answer that never comes, neither ends a run nor starves the other rows."""

from __future__ import annotations

from pathlib import Path

import bench as b
import pytest
from bench import Bench

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError, DatabaseBusyError
from openeo_jobs.jobs import Outcome, ResultsStatus
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop
from openeo_jobs.tracking.user_code import Returned

AWAY = BackendUnavailableError("[502] bad gateway", http_status=502)


def run_to_the_end(bench: Bench, rounds: int, *, seconds: float = 60, bad: str = "") -> None:
    """Let every batch job finish right after it is seen in the queue, but for the *bad* one."""
    for _ in range(rounds):
        bench.round(seconds)
        for one in bench.gateway.batch_jobs.values():
            if one.status == "queued" and one.batch_job_id != bad:
                one.status = "finished"


def test_a_row_that_is_always_answered_502_does_not_pause_its_backend(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=12, cap=4)
    get = bench.gateway.get_batch_job

    def get_batch_job(batch_job_id: str):
        if batch_job_id == "north-1":
            raise AWAY
        return get(batch_job_id)

    bench.gateway.get_batch_job = get_batch_job
    run_to_the_end(bench, 40, bad="north-1")
    assert [bench.status(n) for n in range(2, 13)] == [JobStatus.FINISHED] * 11


def test_what_a_get_refuses_to_tell_a_listing_tells(tmp_path: Path) -> None:
    """A failed job whose GET answers 400 was seen in implementations."""
    bench = Bench(tmp_path, rows=2, cap=1)
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "error"
    get = bench.gateway.get_batch_job

    def get_batch_job(batch_job_id: str):
        if batch_job_id == "north-1":
            raise BackendRefusedError("[400] this job has failed", http_status=400)
        return get(batch_job_id)

    bench.gateway.get_batch_job = get_batch_job
    for _ in range(6):
        bench.round(600)
    assert bench.status(1) is JobStatus.ERROR
    assert bench.status(2) is not JobStatus.NOT_STARTED


def test_a_row_that_never_gets_a_definite_answer_fails_in_the_end_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, rows=4, cap=1)
    broken = BackendUnavailableError("[500] boom", http_status=500)

    def script(bench, job, gateway, watcher):
        if job.number > 1:
            return b.create(bench, job, gateway, watcher)
        b.post(bench, job, gateway, watcher, arrives=False, outcome=Outcome.UNKNOWN)
        watcher.saw("north", broken)
        raise broken

    bench.script = script
    run_to_the_end(bench, 40)
    assert [bench.status(n) for n in range(1, 5)] == [JobStatus.START_FAILED, *[JobStatus.FINISHED] * 3]
    assert bench.job(1).attempt.failure.http_status == 500


def test_a_row_that_is_refused_for_now_lets_the_others_go_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=3, cap=1)
    poor = BackendRefusedError("[402] PaymentRequired", http_status=402, code="PaymentRequired")
    bench.script = lambda bench, job, *rest: (b.refuse(poor) if job.number == 1 else b.create)(
        bench, job, *rest
    )
    run_to_the_end(bench, 20, seconds=601)
    assert [bench.status(2), bench.status(3)] == [JobStatus.FINISHED] * 2


def test_without_a_complete_listing_a_row_waits_for_a_person_in_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, cap=1)
    bench.script = b.never_arrive
    bench.round()
    bench.gateway.is_listing_complete = False
    bench.script = b.create
    for _ in range(5):
        bench.round(600)
    assert "gave no complete listing" in str(bench.job(1).needs_person_reason)
    assert bench.status(2) is not JobStatus.NOT_STARTED


def test_an_outage_is_not_held_against_results(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    fake = bench.gateway.batch_jobs["north-1"]
    fake.status, fake.results = "finished", {"a.tif": b"1"}
    get = bench.gateway.get_batch_job

    def away(batch_job_id: str):
        raise BackendUnavailableError("[503] busy", http_status=503)

    seen = iter([get])  # the poll still works, what comes after does not
    bench.gateway.get_batch_job = lambda one: next(seen, away)(one)
    for _ in range(20):
        bench.round(300)
    assert bench.job().results_status is ResultsStatus.PENDING
    bench.gateway.get_batch_job = get
    bench.round(3600)
    bench.round(300)
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_a_download_that_fails_while_its_backend_is_logged_in_to_anew_ends_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.gateway.fail_next("get_results", BackendRefusedError("[403] expired", http_status=403))
    loop.do_one_round(bench.run)
    gateway = bench.run.gateways.pop("north")
    loop.drain(bench.run, 5)
    assert bench.job().results_tries == 1
    bench.run.gateways["north"] = gateway
    bench.round(300)
    bench.round()
    assert bench.job().results_status is ResultsStatus.DOWNLOADED


def test_an_asset_on_another_host_says_nothing_of_the_backend(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "finished"
    bench.gateway.fail_next("fetch", BackendRefusedError("[401] no signature", http_status=401))
    bench.round(60)
    assert bench.store.backends.all()[0].paused_class is None
    assert bench.job().results_tries == 1


@pytest.mark.parametrize("text", ["caf\udce9.tif", "\ud800"], ids=["half", "alone"])
def test_text_that_no_database_can_hold_ends_nothing(tmp_path: Path, caplog, text: str) -> None:
    caplog.set_level("CRITICAL", "openeo_jobs")  # a report of this test must be able to hold its log
    bench = Bench(tmp_path, rows=2)

    def script(bench, job, gateway, watcher):
        if job.number == 1:
            raise FileNotFoundError(text)
        return b.create(bench, job, gateway, watcher)

    bench.script = script
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "error"
    bench.gateway.batch_jobs["north-1"].error_logs = [{"level": "error", "message": text}]
    bench.round(60)
    assert bench.status(1) is JobStatus.START_FAILED
    assert "\\ud" in bench.job(1).attempt.failure.message
    assert "\\ud" in bench.job(2).attempt.failure.message


def test_a_batch_job_that_the_callback_found_itself_is_no_conflict(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def script(bench, job, gateway, watcher):
        b.post(bench, job, gateway, watcher, outcome=Outcome.UNKNOWN)
        watcher.starting("north", "north-1")
        watcher.started("north", "north-1", BackendRefusedError("no", http_status=400))
        watcher.saw("north", b.NO_ANSWER)
        raise b.NO_ANSWER

    bench.script = script
    bench.round()
    bench.round(200)
    bench.round(1)
    assert bench.job().batch_job_id == "north-1"
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_two_rows_that_return_one_batch_job_start_it_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2)
    bench.gateway.create("shared")
    bench.script = lambda *_: Returned(backend_name="north", batch_job_id="north-1")
    for _ in range(3):
        bench.round(60)
    assert bench.count("start") == 1


@pytest.mark.parametrize("word", ["queued", "running"])
def test_a_reused_job_that_its_user_stops_is_not_started(tmp_path: Path, word: str) -> None:
    bench = Bench(tmp_path)
    bench.gateway.create("old", status=word)
    bench.script = lambda *_: Returned(backend_name="north", batch_job_id="north-1")
    bench.round()
    bench.round(60)
    bench.gateway.batch_jobs["north-1"].status = "created"
    for _ in range(4):
        bench.round(60)
    assert bench.count("start") == 0
    assert bench.status() is JobStatus.CANCELED


def test_a_registry_that_lags_fails_no_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.gateway.fail_next("start", BackendRefusedError("no such job", http_status=404, code="JobNotFound"))
    bench.round()
    assert bench.status() is JobStatus.CREATED
    bench.round(60)
    assert bench.gateway.batch_jobs["north-1"].starts == 1


def test_a_busy_database_waits_for_the_next_round(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=2, poll_sleep=0.01)
    endings, busy = bench.store.endings, iter([DatabaseBusyError("held")] * 3)
    unfinished = endings.open

    def open_or_busy(runner_id):
        if (error := next(busy, None)) is not None:
            raise error
        bench.run.stop()
        return unfinished(runner_id)

    endings.open = open_or_busy
    loop.keep_going(bench.run, lambda: loop.do_one_round(bench.run))
    assert bench.status() is not JobStatus.NOT_STARTED


def test_a_busy_database_inside_a_callback_fails_no_row(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    record = bench.store.creations.record_outcome

    def busy(*_, **__):
        bench.store.creations.record_outcome = record
        raise DatabaseBusyError("held")

    bench.store.creations.record_outcome = busy
    with pytest.raises(DatabaseBusyError):
        bench.round()
    assert bench.status() is JobStatus.SUBMITTING
    bench.round(60)
    bench.round(1)
    assert bench.job().batch_job_id == "north-1"
    assert len(bench.gateway.batch_jobs) == 1
