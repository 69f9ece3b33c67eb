"""Who is dead, and what proves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openeo_jobs.jobs import Runner
from openeo_jobs.policy.ownership import Sighting, is_dead, is_proved_dead

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
LEASE = timedelta(seconds=90)


def make_runner(*, ended: bool = False, started: str = "1000.00") -> Runner:
    return Runner(
        uuid="u",
        host="h",
        boot_id="boot",
        pid_namespace="ns",
        pid=1,
        process_started_at=started,
        started_at=NOW - timedelta(days=1),
        command="c",
        folder="f",
        heartbeat_at=NOW,
        ended_at=NOW if ended else None,
        lease=LEASE,
    )


def sight(boot_id: str = "boot", pid_namespace: str = "ns", started: str | None = "1000.00") -> Sighting:
    return Sighting(boot_id=boot_id, pid_namespace=pid_namespace, process_started_at=started)


@pytest.mark.parametrize(
    ("sighting", "expected"),
    [
        (sight(), False),
        (sight(started=None), True),
        (sight(started="2000.00"), True),
        (sight(boot_id="another", started=None), False),
        (sight(pid_namespace="another", started=None), False),
        (sight(boot_id="another", started="2000.00"), False),
    ],
)
def test_only_the_same_boot_and_namespace_prove_a_process_gone(sighting: Sighting, expected: bool) -> None:
    assert is_proved_dead(make_runner(), sighting) is expected


@pytest.mark.parametrize(
    ("runner", "sighting", "seconds", "expected"),
    [
        (make_runner(), sight(), 0, False),
        (make_runner(ended=True), sight(), 0, True),
        (make_runner(), sight(started=None), 0, True),
        (make_runner(), sight(), 90, False),
        (make_runner(), sight(), 90.1, True),
        (make_runner(), sight(boot_id="another"), 89, False),
        (make_runner(), sight(boot_id="another"), 91, True),
        (make_runner(), sight(), -3600, False),
    ],
)
def test_a_runner_is_dead_if_it_ended_or_is_proved_gone_or_was_silent_for_its_lease(
    runner: Runner, sighting: Sighting, seconds: float, expected: bool
) -> None:
    assert is_dead(runner, sighting, silence=timedelta(seconds=seconds)) is expected


@pytest.mark.parametrize(("started", "expected"), [("2000.00", False), (None, True)])
def test_one_that_could_not_see_its_own_start_is_proved_dead_only_where_nothing_has_its_pid(
    started: str | None, expected: bool
) -> None:
    assert is_proved_dead(make_runner(started=""), sight(started=started)) is expected
