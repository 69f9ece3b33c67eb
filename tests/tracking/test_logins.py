"""Logins that die: renewed without a person, else told with the command that mends them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from bench import Bench

from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import ErrorClass
from openeo_jobs.status import JobStatus
from openeo_jobs.tracking import loop

EXPIRED = BackendRefusedError("[403] TokenInvalid: expired", http_status=403, code="TokenInvalid")
BROKEN = BackendUnavailableError("[500] Internal: oops", http_status=500, code="Internal")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Four rows, of which two are under way."""
    bench = Bench(tmp_path, rows=4, cap=2, downloads_results=False)
    bench.round()
    return bench


def expire(bench: Bench, times: int = 2) -> None:
    bench.gateway.fail_next("get_batch_job", EXPIRED, times=times)


def die_for_good(bench: Bench) -> None:
    """Let the login die, and nothing renew it."""
    bench.refusal = BackendRefusedError("the login is not valid any more", http_status=401)
    expire(bench)
    bench.round(60)
    bench.round(60)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelname != "INFO"]


def test_it_is_renewed_in_the_next_round_and_nobody_is_told(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    expire(bench)
    bench.round(60)
    assert bench.renewals == []
    polls = bench.count("get_batch_job")
    bench.round(1)
    assert bench.renewals == ["north"]
    assert bench.count("get_batch_job") == polls + 2
    assert bench.store.backends.one("north").paused_class is None
    assert warnings(caplog) == []


def test_one_that_expires_again_and_again_is_renewed_each_time(bench: Bench) -> None:
    for _ in range(4):
        expire(bench)
        for _ in range(3):
            bench.round(60)
    assert bench.renewals == ["north"] * 4


def test_a_login_that_cannot_be_renewed_pauses_its_backend_and_the_command_is_told_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    die_for_good(bench)
    paused = bench.store.backends.one("north")
    assert paused.paused_class is ErrorClass.AUTH
    assert paused.paused_reason == "the login is not valid any more"
    assert paused.paused_remedy == "openeo-auth oidc-auth north"
    for _ in range(10):
        bench.round(60)
    assert [text.count("openeo-auth oidc-auth north") for text in warnings(caplog)] == [1]
    assert bench.renewals == ["north"] * 3  # every five rounds
    assert [bench.status(n) for n in (1, 2, 3, 4)] == [JobStatus.QUEUED_FOR_START] * 2 + [
        JobStatus.NOT_STARTED
    ] * 2


def test_a_renewed_login_that_is_refused_again_pauses_its_backend(bench: Bench) -> None:
    for _ in range(3):
        expire(bench)
        bench.round(60)
    assert bench.renewals == ["north"]
    assert bench.store.backends.one("north").paused_remedy == "openeo-auth oidc-auth north"


def test_the_command_is_forgotten_with_the_pause_that_it_ends(bench: Bench) -> None:
    die_for_good(bench)
    bench.refusal = None
    bench.new_logins.add("north")
    bench.round(1)
    assert bench.store.backends.one("north").paused_remedy is None


def test_where_no_command_mends_it_the_reason_says_what_does(bench: Bench) -> None:
    bench.has_login_command = False
    die_for_good(bench)
    paused = bench.store.backends.one("north")
    assert paused.paused_reason == (
        "the login is not valid any more; mend the login, and start the script again"
    )
    assert paused.paused_remedy is None


def test_a_login_made_in_another_shell_is_used_in_the_next_round(bench: Bench) -> None:
    die_for_good(bench)
    bench.refusal = None
    bench.round(60)
    assert bench.renewals == ["north"]
    bench.new_logins.add("north")
    bench.round(1)
    assert bench.renewals == ["north"] * 2
    assert bench.store.backends.one("north").paused_class is None


def test_a_run_that_sleeps_for_long_notices_a_login_made_in_another_shell(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_LOOK_SECONDS", 0.01)
    die_for_good(bench)
    bench.refusal = None
    rounds = 0

    def do_round() -> None:
        nonlocal rounds
        rounds += 1
        loop.do_one_round(bench.run)
        bench.new_logins.add("north")
        if rounds == 2:
            bench.run.stop()

    began = time.monotonic()
    loop.keep_going(bench.run, do_round)  # it sleeps for a minute
    assert time.monotonic() - began < 30
    assert bench.renewals == ["north"] * 2


def test_a_callable_that_waits_for_a_person_keeps_no_other_login_from_being_used(bench: Bench) -> None:
    answered = threading.Event()
    reconnect = bench.reconnect

    def wait_for_a_person(name: str):
        answered.wait(30)
        raise OSError("nobody came")

    expire(bench)
    bench.round(60)
    bench.reconnect = wait_for_a_person  # type: ignore[method-assign]
    bench.run.settings = replace(bench.run.settings, patience=timedelta(0))
    bench.run.gateways["south"] = bench.gateway  # so that a round does not wait for the only backend
    loop.do_one_round(bench.run)
    assert "north" not in bench.run.gateways
    bench.reconnect = reconnect  # type: ignore[method-assign]
    bench.new_logins.add("north")
    loop.do_one_round(bench.run)
    while "north" not in bench.run.gateways:
        loop.record(bench.run, bench.run.pool.collect(10))
    answered.set()
    loop.drain(bench.run, 10)
    while "connect" in bench.run.pool.kinds_under_way():
        loop.record(bench.run, bench.run.pool.collect(10))
    assert "north" not in bench.run.dead_logins


def test_a_backend_that_answers_nothing_but_errors_is_logged_in_to_anew(bench: Bench) -> None:
    bench.gateway.fail_next("get_batch_job", BROKEN, times=6)
    for _ in range(3):
        bench.round(60)
    assert bench.renewals == []
    bench.round(60)
    assert bench.renewals == ["north"]


def test_errors_in_between_are_no_reason_to_log_in_anew(bench: Bench) -> None:
    for _ in range(5):
        bench.gateway.fail_next("get_batch_job", BROKEN)  # of two
        bench.round(60)
    assert bench.renewals == []


def test_a_backend_that_is_broken_keeps_a_login_that_cannot_be_renewed(bench: Bench) -> None:
    bench.refusal = BackendRefusedError("the login is not valid any more", http_status=401)
    bench.gateway.fail_next("get_batch_job", BROKEN, times=8)
    for _ in range(5):
        bench.round(60)
    assert bench.renewals == ["north"]
    assert bench.store.backends.one("north").paused_class is None


def test_a_new_run_does_not_wait_for_the_login_of_the_last_one(bench: Bench) -> None:
    die_for_good(bench)
    bench.refusal = None
    bench.restart()
    bench.round(1)
    assert bench.store.backends.one("north").paused_class is None
