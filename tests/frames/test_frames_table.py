import json
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from frames_exact import round_trip
from openeo_jobs.errors import FrameError
from openeo_jobs.frames import OUTPUT_COLUMNS, encode_table
from openeo_jobs.status import JobStatus
from openeo_jobs.tables import Tracked


def refuse(df):
    with pytest.raises(FrameError) as caught:
        encode_table(df)
    return str(caught.value)


def test_a_row_becomes_a_json_array_in_the_order_of_the_columns():
    df = pd.DataFrame({"year": [2024], "b": ["ü"], "a": [np.nan]}, index=["T31"])
    (job,) = encode_table(df).jobs
    assert job.params == '[2024,"ü",{"$":"float","text":null,"value":"nan"}]'
    assert job.index_label == '"T31"'


def test_the_dataframe_itself_is_left_as_it_is():
    df = pd.DataFrame({"x": [1], "id": [None], "status": ["not_started"]})
    before = df.copy(deep=True)
    encode_table(df)
    pd.testing.assert_frame_equal(df, before)


def test_what_is_not_a_dataframe_is_refused():
    assert "not a list" in refuse([1])


@pytest.mark.parametrize(
    ("df", "remedy"),
    [
        (pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])), "df = df.reset_index()"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "df.columns = "),
        (pd.DataFrame([[1]], columns=[0]), "df.columns = df.columns.map(str)"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "~df.columns.duplicated()"),
        (pd.DataFrame({"Year": [1], "year": [2]}), 'df = df.rename(columns={"year": "year_2"})'),
        (pd.DataFrame({"STRASSE": [1], "straße": [2]}), 'df = df.rename(columns={"straße": "straße_2"})'),
        (pd.DataFrame({"": [1]}), 'df = df.rename(columns={"": "another_name"})'),
        (pd.DataFrame({"a\0": [1]}), "df = df.rename(columns={'a\\x00': \"another_name\"})"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_that_no_job_table_has_are_refused_with_the_line_to_type(df, remedy):
    assert remedy in refuse(df)


@pytest.mark.parametrize("name", ["\ud800"])
def test_a_name_with_half_of_a_surrogate_pair_is_refused(name):
    df = pd.DataFrame([[1]])
    df.columns = pd.Index([name], dtype=object)
    assert "cannot be a name" in refuse(df)


def test_a_refusal_names_column_row_type_and_remedy():
    df = pd.DataFrame({"scene": ["a", b"b"]}, index=["T31", "T32"])
    assert refuse(df) == (
        "this dataframe cannot become a campaign: column 'scene', row 'T32': a value of type bytes cannot be"
        " stored; df['scene'] = df['scene'].map(bytes.hex)"
    )


def test_a_refused_category_or_label_is_named_too():
    assert "column 'x': a value of type bytes" in refuse(pd.DataFrame({"x": pd.Categorical([b"a"])}))
    label = refuse(pd.DataFrame({"x": [1]}, index=[b"a"]))
    assert "the index, row b'a': a value of type bytes" in label
    assert "df.index = df.index.map(bytes.hex)" in label


def test_all_problems_are_told_together_and_the_rest_is_counted():
    message = refuse(pd.DataFrame({f"c{number}": [b""] for number in range(8)}))
    assert message.count("\n- ") == 6
    assert "column 'c0'" in message
    assert "column 'c4'" in message
    assert "and 3 more" in message


@pytest.mark.parametrize("name", [*OUTPUT_COLUMNS, "job", "user_status", "results_status", "Status", "JOB"])
def test_an_empty_reserved_column_is_left_out(name):
    df = pd.DataFrame({"x": [1, 2], name: [None, np.nan]})
    assert [column.name for column in encode_table(df).columns] == ["x"]
    assert list(round_trip(df)) == ["x"]


@pytest.mark.parametrize("name", sorted({*OUTPUT_COLUMNS, "job", "user_status", "Status"} - {"backend_name"}))
def test_a_reserved_column_with_something_in_it_is_refused_with_the_line_to_type(name):
    message = refuse(pd.DataFrame({"x": [1, 2], name: [None, "a"]}))
    assert f'df = df.rename(columns={{"{name}": ' in message


def test_the_line_to_type_for_an_id_is_the_documented_one():
    message = refuse(pd.DataFrame({"id": ["T31", "T32"]}))
    assert message.endswith('df = df.rename(columns={"id": "tile_id"})')


def test_a_status_that_says_only_not_started_counts_as_empty():
    df = pd.DataFrame({"x": [1, 2], "status": ["not_started", None]})
    assert list(round_trip(df)) == ["x"]


def test_a_dataframe_that_upstream_has_normalized_is_taken():
    df = pd.DataFrame({"x": [1, 2]}).assign(
        id=None, backend_name=None, status="not_started", start_time=None, cpu=None, costs=np.nan
    )
    assert [job.params for job in encode_table(df).jobs] == ["[1]", "[2]"]


def test_the_documented_columns_of_a_campaign_in_progress_are_what_is_tracked():
    df = pd.DataFrame(
        {
            "x": [1, 2, 3, 4],
            "id": ["j-1", None, "j-3", "j-4"],
            "backend_name": ["vito", None, "cdse", "vito"],
            "status": ["finished", None, "queued_for_start_failed", "OOM"],
            "start_time": ["2024-01-31T12:00:00Z", None, np.nan, None],
            "cpu": ["1.5 cpu-seconds", None, None, None],
            "network": ["7 mb", np.nan, None, None],
            "size": ["7 mb", "8 mb", None, None],
            "costs": [2.5, np.nan, np.nan, np.nan],
        }
    )
    table = encode_table(df)
    assert [column.name for column in table.columns] == ["x", "size"]
    first, second, third, fourth = (job.tracked for job in table.jobs)
    assert first == Tracked(
        status=JobStatus.FINISHED,
        batch_job_id="j-1",
        backend_name="vito",
        start_time=datetime(2024, 1, 31, 12, tzinfo=UTC),
        usage={"cpu": {"value": 1.5, "unit": "cpu-seconds"}, "network": {"value": 7, "unit": "mb"}},
        costs=2.5,
    )
    assert second == Tracked()
    assert (third.status, third.batch_job_id) == (JobStatus.CREATED, "j-3")
    assert (fourth.status, fourth.user_status) == (JobStatus.CREATED, "OOM")
    assert {job.pinned_backend for job in table.jobs} == {None}


def test_a_backend_name_pins_its_row_and_is_no_column():
    df = pd.DataFrame({"x": [1, 2, 3], "backend_name": ["vito", None, np.nan]})
    table = encode_table(df)
    assert [job.pinned_backend for job in table.jobs] == ["vito", None, None]
    assert [column.name for column in table.columns] == ["x"]


def test_a_backend_name_that_is_no_text_is_refused():
    assert "must hold names of backends" in refuse(pd.DataFrame({"backend_name": ["vito", 2]}))


def test_a_priority_is_a_column_and_the_priority_of_its_row():
    df = pd.DataFrame({"priority": [2, None, "high", 1.5]}, dtype=object)
    table = encode_table(df)
    assert [job.priority for job in table.jobs] == [2.0, 0.0, 0.0, 1.5]
    assert list(round_trip(df)) == ["priority"]


def test_geopandas_and_openeo_are_not_imported_for_a_plain_dataframe():
    code = """
import sys, pandas
from openeo_jobs.frames import encode_table
encode_table(pandas.DataFrame({"x": [1]}))
print(*sys.modules.keys() & {"shapely", "geopandas", "openeo"})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"


def test_what_is_stored_of_columns_and_index_is_json():
    df = pd.DataFrame({"x": pd.cut(pd.Series([1, 5]), [0, 2, 9])}, index=pd.Index([1, 2], name=(1, 2)))
    table = encode_table(df)
    for column in (*table.columns, table.index):
        assert json.loads(json.dumps(column.detail, allow_nan=False)) == column.detail
