from datetime import UTC, date, datetime, timedelta, timezone

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from frames_exact import NOW, look, store, store_job
from openeo_jobs.frames import OUTPUT_COLUMNS, encode_table, to_series, track_values
from openeo_jobs.jobs import Attempt, BatchJob, Outcome
from openeo_jobs.status import JobStatus

BATCH_JOB = BatchJob(id=1, backend_name="vito", outcome=Outcome.CREATED, batch_job_id="j-1")
USAGE = {"cpu": {"value": 1234.5, "unit": "cpu-seconds"}, "duration": {"value": 7, "unit": "s"}}


def make_attempt(**more):
    values = {"id": 1, "number": 1, "backend_name": "vito", "began_at": NOW, "batch_job": BATCH_JOB}
    return Attempt(**values | more)


def make_row(df, **more):
    table = encode_table(df)
    campaign, _ = store(table)
    return to_series(store_job(0, table.jobs[0], **more), campaign)


def test_a_row_is_a_series_with_the_users_cells_and_what_is_tracked():
    row = make_row(pd.DataFrame({"year": [2024], "name": ["x"]}, index=["T31"]))
    assert isinstance(row, pd.Series)
    assert row.dtype == object
    assert row.name == "T31"
    assert list(row.index) == ["year", "name", *OUTPUT_COLUMNS]
    assert row.year == 2024


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (pd.Series([7], dtype="int16"), 7),
        (pd.Series([7], dtype="Int64"), 7),
        (pd.Series([None], dtype="Int64"), pd.NA),
        (pd.Series([0.5], dtype="float32"), 0.5),
        (pd.Series([np.nan]), float("nan")),
        (pd.Series([True]), True),
        (pd.Series([True], dtype="boolean"), True),
        (pd.Series(["007"], dtype="string"), "007"),
        (pd.Series(["a"], dtype="category"), "a"),
        (pd.Series([3], dtype="category"), 3),
        (pd.Series(pd.Categorical.from_codes([1, -1], categories=[2**53, 2**53 + 1])), 2**53 + 1),
        (pd.Series([None, "a"], dtype="category"), float("nan")),
        (
            pd.Series(pd.to_datetime(["2024-01-01"])).dt.as_unit("ns"),
            pd.Timestamp("2024-01-01").as_unit("ns"),
        ),
        (pd.Series([date(2024, 1, 1)]), date(2024, 1, 1)),
        (pd.Series([[1, {"a": None}]]), [1, {"a": None}]),
        (pd.Series([np.int64(1)], dtype=object), 1),
        (geopandas.GeoSeries([shapely.Point(1, 2)]), shapely.Point(1, 2)),
        (geopandas.GeoSeries([None]), None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_the_values_of_a_row_are_pythons_own(column, value):
    assert look(make_row(column.to_frame("x"))["x"]) == look(value)


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (pd.RangeIndex(1), 0),
        (pd.Index([5], dtype="int32"), 5),
        (pd.DatetimeIndex(["2024"]).as_unit("ms"), pd.Timestamp("2024").as_unit("ms")),
    ],
    ids=repr,
)
def test_the_name_of_a_row_is_its_label_as_pythons_own(index, name):
    assert look(make_row(pd.DataFrame({"x": [1]}, index=index)).name) == look(name)


def test_what_is_not_known_yet_is_none():
    row = make_row(pd.DataFrame({"x": [1]}))
    known = {"status": "not_started"}
    assert row[list(OUTPUT_COLUMNS)].to_dict() == dict.fromkeys(OUTPUT_COLUMNS) | known


def test_what_is_tracked_reads_as_upstream_writes_it():
    summer = timezone(timedelta(hours=2))
    attempt = make_attempt(
        start_time=datetime(2024, 7, 1, 12, 0, 5, 999_999, tzinfo=UTC),
        running_start_time=datetime(2024, 7, 1, 15, 0, tzinfo=summer),
        costs=2.5,
        usage=USAGE | {"memory": {}, "disk": {"value": 3, "unit": "GB"}, "tier": "large"},
    )
    row = make_row(pd.DataFrame({"x": [1]}), status=JobStatus.RUNNING, attempt=attempt)
    assert row[1:].to_dict() == {
        "id": "j-1",
        "backend_name": "vito",
        "status": "running",
        "start_time": "2024-07-01T12:00:05Z",
        "running_start_time": "2024-07-01T13:00:00Z",
        "cpu": "1234.5 cpu-seconds",
        "memory": "0",
        "duration": "7 s",
        "costs": 2.5,
        "disk": "3 GB",
        "tier": "large",
    }


@pytest.mark.parametrize(
    ("status", "user_status", "word"),
    [
        (JobStatus.SUBMITTING, None, "not_started"),
        (JobStatus.LOST, None, "error"),
        (JobStatus.FINISHED, None, "finished"),
        (JobStatus.FINISHED, "postprocessing", "postprocessing"),
    ],
)
def test_a_status_is_in_upstreams_words_or_the_users(status, user_status, word):
    row = make_row(pd.DataFrame({"x": [1]}), status=status, user_status=user_status)
    assert row.status == word
    assert type(row.status) is str


def test_a_pinned_backend_is_named_before_the_first_attempt():
    assert make_row(pd.DataFrame({"x": [1], "backend_name": ["vito"]})).backend_name == "vito"


def test_a_usage_field_never_hides_a_column_of_the_user_or_a_documented_one():
    attempt = make_attempt(usage={"x": {"value": 1}, "id": {"value": 2}, "costs": {"value": 3}})
    row = make_row(pd.DataFrame({"x": ["mine"]}), attempt=attempt)
    assert (row.x, row.id, row.costs) == ("mine", "j-1", None)


def test_what_is_tracked_can_be_given():
    table = encode_table(pd.DataFrame({"x": [1]}))
    campaign, (job,) = store(table)
    row = to_series(job, campaign, track_values(job) | {"status": "created"})
    assert row.status == "created"
    assert list(row.index) == ["x", *OUTPUT_COLUMNS]
