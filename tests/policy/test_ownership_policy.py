"""Who is dead, and what proves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openeo_jobs.jobs import Runner
from openeo_jobs.policy.ownership import Sighting, is_dead, is_proved_dead

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
LEASE = timedelta(seconds=120)


def make_runner(*, silent_for: float = 0, ended: bool = False) -> Runner:
    return Runner(
        uuid="u",
        host="h",
        boot_id="boot",
        pid_namespace="ns",
        pid=1,
        process_started_at="1000.00",
        started_at=NOW - timedelta(days=1),
        command="c",
        folder="f",
        heartbeat_at=NOW - timedelta(seconds=silent_for),
        ended_at=NOW if ended else None,
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
    ("runner", "sighting", "expected"),
    [
        (make_runner(), sight(), False),
        (make_runner(ended=True), sight(), True),
        (make_runner(), sight(started=None), True),
        (make_runner(silent_for=120), sight(), False),
        (make_runner(silent_for=120.1), sight(), True),
        (make_runner(silent_for=119), sight(boot_id="another"), False),
        (make_runner(silent_for=121), sight(boot_id="another"), True),
        (make_runner(silent_for=-3600), sight(), False),
    ],
)
def test_a_runner_is_dead_if_it_ended_or_is_proved_gone_or_was_silent_for_a_lease(
    runner: Runner, sighting: Sighting, expected: bool
) -> None:
    assert is_dead(runner, sighting, at=NOW, lease=LEASE) is expected
