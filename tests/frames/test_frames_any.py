"""Any dataframe that a campaign may hold comes back exact, from strict JSON that SQLite can show."""

import sqlite3

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from any_frames import NESTED, build_objects, dataframes
from frames_exact import assert_same_frame, load_strict, look, store
from openeo_jobs.frames import compare, csv_bytes, decode_frame, encode_table, to_series

SHORT = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LONG = settings(SHORT, max_examples=3000, derandomize=False, print_blob=True)


def show(cell):
    """Return what a view must show of a cell: None, a number, or text."""
    if isinstance(cell, dict) and "$" in cell:
        return cell.get("text")
    return cell


def check_exact(df):
    table = encode_table(df)
    campaign, jobs = store(table)
    assert_same_frame(decode_frame(campaign, jobs), df)
    assert compare(df, campaign, jobs[::-1]).is_same
    rows = [to_series(job, campaign)[: len(df.columns)].tolist() for job in jobs]
    columns = [df[name].tolist() for name in df.columns]
    assert look(rows) == look(
        [list(row) for row in zip(*columns, strict=True)] if columns else [[]] * len(df)
    )


def check_shown(df):
    table = encode_table(df)
    with sqlite3.connect(":memory:") as database:
        for job in table.jobs:
            cells = load_strict(job.params)
            job.params.encode("utf-8")
            assert database.execute("SELECT json_valid(?), json_type(?)", [job.params] * 2).fetchone() == (
                1,
                "array",
            )
            for position, cell in enumerate(cells):
                (shown,) = database.execute(
                    f"""SELECT CASE WHEN json_type(p, '$[{position}]."$"') IS NULL
                        THEN json_extract(p, '$[{position}]') ELSE json_extract(p, '$[{position}].text') END
                        FROM (SELECT ? AS p)""",
                    [job.params],
                ).fetchone()
                wanted = show(cell)
                assert (
                    shown == wanted if not isinstance(wanted, list | dict) else load_strict(shown) == wanted
                )
    database.close()


@SHORT
@given(dataframes())
def test_any_dataframe_comes_back_exact(df):
    check_exact(df)


@SHORT
@given(dataframes())
def test_sqlite_shows_every_cell_of_any_dataframe_as_text(df):
    check_shown(df)


@SHORT
@given(dataframes())
def test_any_dataframe_has_a_csv(df):
    campaign, jobs = store(encode_table(df))
    assert csv_bytes(campaign, jobs).decode() == csv_bytes(campaign, jobs).decode()


@SHORT
@given(NESTED)
def test_any_nested_value_comes_back_exact(value):
    check_exact(pd.DataFrame({"x": build_objects([value])}))


@pytest.mark.long
@LONG
@given(dataframes())
def test_any_dataframe_of_many_comes_back_exact_and_is_shown(df):
    check_exact(df)
    check_shown(df)
    csv_bytes(*store(encode_table(df)))
