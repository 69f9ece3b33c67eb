"""What the tests of `openeo_jobs.frames` share: storing as a database would, exact comparisons."""

import json
from datetime import UTC, datetime

import pandas as pd
import shapely

from openeo_jobs.frames import decode_frame, encode_table
from openeo_jobs.jobs import Campaign, Column, Job
from openeo_jobs.status import JobStatus

NOW = datetime(2024, 1, 1, 12, tzinfo=UTC)


def refuse_constant(name):
    raise AssertionError(f"{name} is not strict JSON")


def load_strict(text):
    return json.loads(text, parse_constant=refuse_constant)


def store_column(column):
    detail = load_strict(json.dumps(column.detail))
    return Column(name=column.name, dtype=column.dtype, detail=detail)


def store(table):
    """Return the campaign and the jobs that a database would hand out for *table*."""
    campaign = Campaign(
        uid="c0ffee",
        created_at=NOW,
        columns=tuple(store_column(column) for column in table.columns),
        index=store_column(table.index),
        geometry=table.geometry,
        mirrors={},
    )
    return campaign, [store_job(number, new) for number, new in enumerate(table.jobs)]


def store_job(number, new, **more):
    values = {
        "number": number,
        "position": number,
        "index_label": new.index_label,
        "params": new.params,
        "status": JobStatus.NOT_STARTED,
        "status_since": NOW,
        "pinned_backend": new.pinned_backend,
        "priority": new.priority,
    }
    return Job(**values | more)


def round_trip(df):
    return decode_frame(*store(encode_table(df)))


def look(value):
    """Return what makes a value itself: its type and all that == does not see."""
    kind = type(value)
    if isinstance(value, list | tuple):
        return kind, [look(item) for item in value]
    if isinstance(value, dict):
        return kind, [(look(key), look(item)) for key, item in value.items()]
    if isinstance(value, shapely.Geometry):
        return kind, shapely.to_wkb(value, include_srid=True)
    zone = getattr(value, "tzinfo", None)
    return (
        kind,
        repr(value),
        getattr(value, "fold", None),
        getattr(value, "unit", None),
        type(zone),
        repr(zone),
    )


def look_at_values(values):
    if isinstance(values.dtype, pd.CategoricalDtype):
        return look_at_values(values.dtype.categories), pd.Series(values).cat.codes.tolist()
    return values.dtype, [look(value) for value in values.tolist()]


def look_at_index(index):
    return type(index), look_at_values(index), index.name


def assert_same_frame(actual, expected):
    assert type(actual) is type(expected)
    assert list(actual.dtypes) == list(expected.dtypes)
    assert look_at_index(actual.index) == look_at_index(expected.index)
    assert look_at_index(actual.columns) == look_at_index(expected.columns)
    for name in expected.columns:
        assert look_at_values(actual[name]) == look_at_values(expected[name]), name
    flat = [name for name in expected.columns if expected[name].dtype != object]
    for name in flat:
        pd.testing.assert_series_equal(pd.Series(actual[name]), pd.Series(expected[name]), check_exact=True)
