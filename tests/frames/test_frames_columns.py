from zoneinfo import ZoneInfo

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import CRS

from frames_exact import assert_same_frame, round_trip, store
from openeo_jobs.errors import FrameError
from openeo_jobs.frames import decode_frame, encode_table

NUMBERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NULLABLE = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"]
BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = pd.to_datetime(["2024-10-27T00:30", "2024-10-27T01:30", None])


COLUMNS = [
    *[pd.Series([0, 1, 127], dtype=dtype) for dtype in NUMBERS],
    *[pd.Series([0, None, 127], dtype=dtype) for dtype in NULLABLE],
    pd.Series([2**63 - 1, None], dtype="Int64"),
    pd.Series([2**53 + 1, -(2**63)], dtype="int64"),
    pd.Series([1, 2], dtype=">i4"),
    *[pd.Series([0.1, np.nan, np.inf, -0.0], dtype=dtype) for dtype in ("float16", "float32", "float64")],
    pd.Series([0.1, None, -np.inf], dtype="Float64"),
    pd.Series(pd.arrays.FloatingArray(np.array([np.nan, 1.5]), np.array([False, True]))),
    pd.Series([True, False]),
    pd.Series([True, None, False], dtype="boolean"),
    pd.Series(["a", "", None, "NA", "007"], dtype="string[python]"),
    pd.Series(["a", "", None], dtype="string[pyarrow]"),
    pd.Series(["a", None, np.nan, pd.NA, pd.NaT, 1, 1.5, True], dtype=object),
    pd.Series([None, None], dtype=object),
    pd.Series([[1, 2], [3, 4]]),
    pd.Series([(1, 2), (3, 4)]),
    *[pd.Series(MOMENTS).dt.as_unit(unit) for unit in ("s", "ms", "us", "ns")],
    *[pd.Series(MOMENTS).dt.tz_localize("UTC").dt.tz_convert(z) for z in ("UTC", "Europe/Berlin", BERLIN)],
    pd.Series(pd.to_datetime(["2024-01-01T00:00+02:00", None])).dt.as_unit("s"),
    pd.Series(pd.to_timedelta([5, None, -1], unit="s")),
    pd.Series(pd.to_timedelta([5, None], unit="s")).dt.as_unit("ms"),
    pd.Series(["b", None, "a", "b"], dtype="category"),
    pd.Series(pd.Categorical(["lo", "hi"], categories=["lo", "mid", "hi"], ordered=True)),
    pd.Series(pd.Categorical.from_codes([1, 0, -1], categories=[2**53, 2**53 + 1])),
    pd.Series(pd.Categorical([None, None])),
    pd.Series(MOMENTS.tz_localize("UTC"), dtype="category"),
    pd.cut(pd.Series([1, 5, 99]), [0, 2, 10]),
    pd.Series(pd.interval_range(0, 3)),
    pd.Series(pd.arrays.IntervalArray.from_tuples([(0.0, 1.0), np.nan], closed="both")),
    pd.Series(pd.interval_range(pd.Timestamp("2024", tz=BERLIN), periods=2)),
    pd.Series(pd.period_range("2024-01", periods=3, freq="M")),
    pd.Series(pd.PeriodIndex(["2024", "NaT"], freq="D")),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.dtype))
def test_a_column_comes_back_with_its_dtype(column):
    df = column.to_frame("x")
    assert_same_frame(round_trip(df), df)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.dtype))
def test_a_column_without_rows_keeps_its_dtype(column):
    df = column.to_frame("x").iloc[:0]
    assert_same_frame(round_trip(df), df)


INDEXES = [
    pd.RangeIndex(3),
    pd.RangeIndex(10, 4, -2, name="row"),
    pd.Index([3, 1, 2], dtype="int32"),
    pd.Index(["b", "a", "b"], name="tile"),
    pd.Index(["b", None, "c"], name=""),
    pd.Index([1.5, np.nan, np.inf], name=7),
    pd.Index([True, False, True]),
    pd.Index(["x", 1, (2, 3)], dtype=object, name=("a", 1)),
    pd.Index([(1, 2), (3, 4), (5, 6)], tupleize_cols=False),
    pd.date_range("2024-01-01", periods=3, freq="D"),
    pd.date_range("2024-01-01", periods=3, freq="D", tz="Europe/Berlin", name="day"),
    pd.to_datetime(["2024-01-02", "2024-01-01", None]),
    pd.timedelta_range("1h", periods=3),
    pd.CategoricalIndex(["b", "a", "b"], ordered=True),
    pd.period_range("2024", periods=3, freq="D"),
    pd.interval_range(0, 3),
    pd.Index([1, None, 3], dtype="Int64"),
]


@pytest.mark.parametrize("index", INDEXES, ids=repr)
def test_an_index_comes_back_equal(index):
    df = pd.DataFrame({"x": range(3)}, index=index)
    assert_same_frame(round_trip(df), df)
    assert getattr(round_trip(df).index, "freq", None) == getattr(index, "freq", None)


@pytest.mark.parametrize("index", INDEXES, ids=repr)
def test_some_of_the_rows_are_those_of_the_dataframe(index):
    df = pd.DataFrame({"x": range(3)}, index=index)
    campaign, jobs = store(encode_table(df))
    part = decode_frame(campaign, [jobs[2], jobs[0]])
    assert part.index.tolist() == df.iloc[[2, 0]].index.tolist() or part.index.hasnans
    assert part["x"].tolist() == [2, 0]


@pytest.mark.parametrize(
    "names",
    [
        pd.Index(["a", "ü 😀"], name="variable"),
        pd.CategoricalIndex(["b", "a"], name="pivoted"),
        pd.Index(["a", "b"], dtype="string"),
        pd.Index(['a"b', "c.d[0]$"]),
    ],
    ids=repr,
)
def test_the_row_of_column_names_comes_back_equal(names):
    df = pd.DataFrame([[1, "x"], [2, "y"]])
    df.columns = names
    assert_same_frame(round_trip(df), df)


def test_a_dataframe_without_columns_keeps_its_rows():
    df = pd.DataFrame(index=["a", "b"])
    assert_same_frame(round_trip(df), df)


@pytest.mark.parametrize(
    "crs",
    [
        None,
        "EPSG:4326",
        "OGC:CRS84",
        "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m",
        CRS.from_epsg(32631).to_wkt("WKT1_GDAL"),
        CRS.from_epsg(9707),
    ],
    ids=lambda crs: str(crs)[:12],
)
def test_geometries_come_back_with_their_crs(crs):
    points = [shapely.Point(1 / 3, 2), None, shapely.Point()]
    df = geopandas.GeoDataFrame({"x": [1, 2, 3]}, geometry=points, crs=crs)
    again = round_trip(df)
    assert_same_frame(again, df)
    assert (again.crs is None) if crs is None else again.crs.is_exact_same(df.crs)


def test_every_geometry_column_and_the_active_one_come_back():
    points = geopandas.GeoSeries([shapely.Point(1, 2)], crs=4326)
    centres = geopandas.GeoSeries([shapely.Point(1, 2)], crs=3035)
    df = geopandas.GeoDataFrame({"geometry": points, "centre": centres}, geometry="centre")
    again = round_trip(df)
    assert_same_frame(again, df)
    assert again.active_geometry_name == "centre"
    assert again["geometry"].crs == 4326


def test_a_geodataframe_without_an_active_geometry_stays_one():
    df = geopandas.GeoDataFrame({"x": [1]})
    assert_same_frame(round_trip(df), df)


def test_geometries_in_a_plain_dataframe_stay_there():
    points = geopandas.GeoSeries([shapely.Point(1, 2)], crs=4326)
    df = pd.DataFrame({"geometry": points, "plain": pd.Series([shapely.Point(1, 2)], dtype=object)})
    assert_same_frame(round_trip(df), df)


@pytest.mark.parametrize(
    ("column", "named", "remedy"),
    [
        (pd.Series([1, 0], dtype="Sparse[int64]"), "Sparse", ".sparse.to_dense()"),
        (pd.Series([1, 2], dtype="int64[pyarrow]"), "pyarrow", ".astype(object)"),
        (pd.Series([1j]), "complex128", "two columns"),
        (pd.Series([1], dtype=np.longdouble), "float128", ".astype('float64')"),
        (pd.Series([1, 2**63], dtype="uint64"), "64 bits", "df['x'].map(str)"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_dtype_that_is_not_stored_is_refused_with_the_remedy(column, named, remedy):
    with pytest.raises(FrameError) as caught:
        encode_table(column.to_frame("x"))
    assert named in str(caught.value)
    assert remedy in str(caught.value)
