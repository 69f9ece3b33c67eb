"""Costs, usage and times as backends write them, sensible or not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from openeo_jobs.backends.amounts import read_costs, read_usage
from openeo_jobs.backends.dates import read_instant
from openeo_jobs.backends.observations import observation_in


@pytest.mark.parametrize(
    ("told", "costs"),
    [
        *((2.5, 2.5), (0, 0.0), ("3.25", 3.25), (None, None), ("free", None), (True, None)),
        *((float("nan"), None), (float("inf"), None), (-1, None), ([1], None), ({"value": 1}, None)),
        *(("", None), (10**400, None), ("1e999", None)),
    ],
)
def test_costs_are_a_number_or_not_known(told: object, costs: float | None) -> None:
    assert read_costs(told) == costs


@pytest.mark.parametrize(
    ("told", "amount"),
    [
        ({"value": 12.5, "unit": "cpu-seconds"}, {"value": 12.5, "unit": "cpu-seconds"}),
        ({"value": 3, "unit": "mb-seconds"}, {"value": 3, "unit": "mb-seconds"}),
        ({"value": "12.5", "unit": "gb"}, {"value": 12.5, "unit": "gb"}),
        ({"value": 1, "unit": 7}, {"value": 1}),
        ({"value": 1, "unit": ""}, {"value": 1}),
        (7, {"value": 7}),
        ("1.5 gb-hours", {"value": 1.5, "unit": "gb-hours"}),
        ("12", {"value": 12.0}),
        (".5gb", {"value": 0.5, "unit": "gb"}),
    ],
)
def test_usage_is_a_number_with_its_unit(told: object, amount: dict[str, object]) -> None:
    assert read_usage({"cpu": told}) == {"cpu": amount}


@pytest.mark.parametrize(
    "told",
    [
        *(None, True, "much", "", [], {}, {"value": None}, {"value": {"value": 1}}, {"unit": "seconds"}),
        *({"value": float("nan")}, {"value": "Infinity"}, {"value": -5, "unit": "mb"}, {"value": 10**400}),
    ],
)
def test_what_makes_no_sense_is_left_out_and_the_rest_is_kept(told: object) -> None:
    usage = read_usage({"cpu": told, "memory": {"value": 1, "unit": "mb-seconds"}})
    assert usage == {"memory": {"value": 1, "unit": "mb-seconds"}}
    json.dumps(usage, allow_nan=False)


@pytest.mark.parametrize("told", [None, [], "12 cpu-seconds", 5, True])
def test_usage_that_is_no_object_is_none(told: object) -> None:
    assert read_usage(told) == {}


def test_a_number_that_the_database_cannot_hold_is_rounded() -> None:
    assert read_usage({"cpu": 2**80}) == {"cpu": {"value": float(2**80)}}


@pytest.mark.parametrize(
    "told",
    [
        *("2024-01-31T12:00:00Z", "2024-01-31 12:00:00", "2024-01-31T13:00:00+01:00", "2024-01-31T12:00Z"),
        *("2024-01-31T12:00:00.0009Z", " 2024-01-31T12:00:00 UTC ", "2024-01-31t12:00:00z"),
        *("2024-01-31T13:00:00+0100", "2024-01-31 12:00:00 +00:00"),
    ],
)
def test_an_instant_is_read_however_it_is_written(told: str) -> None:
    assert read_instant(told) == datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "told",
    [
        *(None, 0, 1706702400, "", "now", "2024-01-31", "31.01.2024 12:00", "2024-13-31T12:00:00Z"),
        *("2024-01-31T25:00:00Z", [], "0001-01-01T00:00:00+14:00", "2024-W05-3T12:00:00"),
    ],
)
def test_what_is_no_instant_is_not_known(told: object) -> None:
    assert read_instant(told) is None


def test_a_batch_job_has_the_times_that_its_backend_tells() -> None:
    seen = observation_in(
        {
            "status": "finished",
            "created": "2024-01-31T12:00:00Z",
            "queued": "2024-01-31T12:01:00Z",
            "started": "2024-01-31T12:02:00Z",
            "updated": "2024-01-31T12:03:00Z",
        },
        "j-1",
    )
    times = (seen.created_at, seen.queued_at, seen.started_at, seen.ended_at)
    assert [at.minute for at in times if at] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("status", "updated"), [("running", "2024-01-31T12:03:00Z"), ("finished", "2024-01-31T12:00:00Z")]
)
def test_updated_is_no_end_before_the_end_or_where_it_never_changes(status: str, updated: str) -> None:
    seen = observation_in({"status": status, "created": "2024-01-31T12:00:00Z", "updated": updated}, "j-1")
    assert seen.ended_at is None
