"""When failures in a row trip a fuse."""

from __future__ import annotations

import random

import pytest

from openeo_jobs.errors import UsageError
from openeo_jobs.policy.fuse import End, Trip, judge_fuse, read_limit

GOOD = End(has_succeeded=True)
UNKNOWN = End(has_succeeded=False)


def bad(key: str = "no band *", message: str = "no band B99") -> End:
    return End(has_succeeded=False, key=key, message=message)


@pytest.mark.parametrize(
    ("latest", "trip"),
    [
        ([], None),
        ([bad()] * 2, None),
        ([bad()] * 3, Trip(message="no band B99")),
        ([bad()] * 3 + [GOOD], Trip(message="no band B99")),
        ([bad(message="no band B7"), bad(), bad()], Trip(message="no band B7")),
        ([GOOD] + [bad()] * 3, None),
        ([bad(), GOOD, bad(), bad()], None),
        ([bad(), bad(), bad("another")], None),
        ([UNKNOWN, bad(), bad()], Trip(message=None)),
        ([UNKNOWN] * 3, Trip(message=None)),
        ([UNKNOWN, bad(), bad("another")], None),
        ([UNKNOWN, bad(), GOOD], None),
    ],
)
def test_so_many_failures_alike_without_a_success_trip_it(latest: list[End], trip: Trip | None) -> None:
    assert judge_fuse(latest, 3) == trip


@pytest.mark.parametrize("seed", range(20))
def test_five_percent_of_scattered_failures_never_do(seed: int) -> None:
    chance = random.Random(seed)
    ends = [bad() if chance.random() < 0.05 else GOOD for _ in range(5_000)]
    assert not any(judge_fuse(ends[i : i + 10], 10) for i in range(len(ends)))


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "10", []])
def test_a_bad_limit_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="max_failures_in_a_row is a number from 1, or None"):
        read_limit(value)


@pytest.mark.parametrize("value", [None, 1, 10])
def test_a_limit_is_a_number_or_none(value: int | None) -> None:
    assert read_limit(value) == value
