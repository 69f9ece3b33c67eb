"""How figures read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openeo_jobs.report.figures import (
    count,
    draw_bar,
    format_amount,
    format_costs,
    format_instant,
    format_length,
    format_seconds,
    format_size,
    list_rows,
    wrap,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.94, "1.9 s"), (45, "45 s"), (1860, "31 min"), (9000, "2.5 h"), (40_000, "11 h"), (270_000, "3.1 d")],
)
def test_a_duration_reads_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_duration_in_the_future_or_now_is_no_time() -> None:
    assert format_length(timedelta(seconds=-3)) == "0 s"
    assert format_length(timedelta(seconds=12.4)) == "12 s"


def test_an_instant_reads_shorter_the_nearer_it_is() -> None:
    now = datetime(2024, 11, 20, 12, tzinfo=UTC)
    assert format_instant(now - timedelta(minutes=1), now=now).count(":") == 2
    assert format_instant(now - timedelta(days=17), now=now).startswith("3 Nov ")
    assert format_instant(now - timedelta(days=400), now=now).startswith("17 Oct 2023 ")


def test_small_costs_keep_their_digits() -> None:
    assert [format_amount(x) for x in (0, 0.0031, 12.4, 601_330.4)] == ["0.00", "0.0031", "12.40", "601,330"]


def test_costs_of_several_currencies_stand_side_by_side() -> None:
    assert format_costs({"credits": 84.2, "EUR": 12.4}) == "84.20 credits and 12.40 EUR"
    assert format_costs({"": 3.0}) == "3.00"


def test_numbers_agree_with_their_nouns() -> None:
    assert (count(1, "row"), count(2000, "row")) == ("1 row", "2,000 rows")
    assert (list_rows([7]), list_rows(range(1, 9), most=3)) == ("row 7", "rows 1, 2, 3, ...")


def test_sizes_read_in_their_unit() -> None:
    assert [format_size(x) for x in (999, 11_240, 9.1e12)] == ["999 bytes", "11.2 kB", "9.1 TB"]


def test_a_bar_is_full_only_at_the_end() -> None:
    assert [draw_bar(x, 4) for x in (0, 0.5, 0.99, 1, 1.2)] == ["", "██", "███▉", "████", "████"]


def test_long_words_stay_whole() -> None:
    path = "/a" * 60
    assert wrap(f"see {path}", indent="  ") == ["  see", f"  {path}"]
