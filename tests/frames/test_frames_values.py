import enum
import uuid
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import dateutil.tz
import numpy as np
import pandas as pd
import pytest
import pytz
import shapely

from frames_exact import load_strict, look
from openeo_jobs.errors import SchemaTooNewError
from openeo_jobs.frames.refusal import RefusedError
from openeo_jobs.frames.values import MAX_DEPTH, decode_value, encode_value
from openeo_jobs.tables import dump_cells

BERLIN = ZoneInfo("Europe/Berlin")
AMBIGUOUS = datetime.fromisoformat("2024-10-27T02:30:00.123456")
CENTRAL = pytz.timezone("Europe/Berlin")


class Fruit(enum.Enum):
    APPLE = 1


class Word(enum.StrEnum):
    YES = "yes"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


Point = namedtuple("Point", "x y")


def pass_through(value):
    return decode_value(load_strict(dump_cells(encode_value(value))))


def show(value):
    """Show a cell as the SQL views do."""
    cell = load_strict(dump_cells(encode_value(value)))
    return cell.get("text") if isinstance(cell, dict) and "$" in cell else cell


EXACT = [
    None,
    True,
    0,
    2**63 - 1,
    -(2**63),
    -0.0,
    0.1,
    5e-324,
    1.7976931348623157e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "007",
    "NA",
    "Zürich \u2028 😀 \x01 \x7f",
    "a\0b'\"\\ü",
    [],
    [1, [2.5, [None, float("nan")]]],
    {},
    {"b": 1, "a": {"c": [1]}},
    {"$": "float", "value": "nan"},
    {"nested": {"$": 1}},
    {1: "a", (1, 2): "b", None: "c", "\0": 3},
    (),
    (1, ("a", [2], float("inf"))),
    [{"at": AMBIGUOUS}, pd.NaT],
    pd.NaT,
    pd.NA,
    Decimal("1.10"),
    Decimal("-0"),
    Decimal("NaN"),
    uuid.UUID(int=7),
    date(1, 1, 1),
    time(12, 30, 0, 1),
    time(12, 30, tzinfo=BERLIN, fold=1),
    time(12, 30, tzinfo=UTC),
    AMBIGUOUS,
    AMBIGUOUS.replace(fold=1),
    AMBIGUOUS.replace(tzinfo=BERLIN),
    AMBIGUOUS.replace(tzinfo=BERLIN, fold=1),
    AMBIGUOUS.replace(tzinfo=UTC),
    AMBIGUOUS.replace(tzinfo=timezone(timedelta(hours=-3, seconds=1))),
    AMBIGUOUS.replace(tzinfo=timezone(timedelta(hours=2), "CEST")),
    AMBIGUOUS.replace(tzinfo=pytz.utc),
    AMBIGUOUS.replace(tzinfo=pytz.FixedOffset(-90)),
    AMBIGUOUS.replace(tzinfo=CENTRAL),
    CENTRAL.localize(AMBIGUOUS, is_dst=True),
    CENTRAL.localize(AMBIGUOUS, is_dst=False),
    AMBIGUOUS.replace(tzinfo=dateutil.tz.tzutc()),
    AMBIGUOUS.replace(tzinfo=dateutil.tz.tzoffset("X", 7200)),
    AMBIGUOUS.replace(tzinfo=dateutil.tz.tzoffset(None, -7200)),
    datetime(1850, 1, 1, tzinfo=BERLIN),
    timedelta(days=-3, seconds=5, microseconds=7),
    pd.Timestamp("2024-01-01"),
    pd.Timestamp("2024-01-01T00:00:00.123456789"),
    pd.Timestamp("2024-01-01").as_unit("s"),
    pd.Timestamp("9999-12-31").as_unit("ms"),
    pd.Timestamp("2024-10-27T00:30:00Z").tz_convert("Europe/Berlin"),
    pd.Timestamp("2024-10-27T01:30:00Z").tz_convert(BERLIN),
    pd.Timestamp("2024-10-27T01:30:00+02:00"),
    pd.Timestamp("2024-10-27T00:30:00Z"),
    pd.Timedelta("1 days 00:00:00.000000001"),
    pd.Timedelta(days=-5).as_unit("s"),
    pd.Period("2024-02", "M"),
    pd.Interval(0, 5, closed="left"),
    pd.Interval(pd.Timestamp("2024"), pd.Timestamp("2025")),
]


@pytest.mark.parametrize("value", EXACT)
def test_a_value_comes_back_equal_and_of_the_same_type(value):
    assert look(pass_through(value)) == look(value)


GEOMETRIES = [
    shapely.Point(0.1, 1 / 3),
    shapely.Point(1e-300, -0.0),
    shapely.Point(float("nan"), 1),
    shapely.Point(float("inf"), float("-inf")),
    shapely.Point(),
    shapely.Point(1, 2, 3),
    shapely.set_srid(shapely.Point(1, 2), 4326),
    shapely.LinearRing([(0, 0), (1, 1), (0, 1)]),
    shapely.set_srid(shapely.LinearRing([(0, 0), (1, 1), (0, 1)]), 3035),
    shapely.box(0, 0, 0.7, 1 / 7),
    shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)]),
    shapely.GeometryCollection([shapely.Point(1, 2), shapely.LineString([(0, 0), (1, 1)])]),
    shapely.from_wkt("POLYGON Z EMPTY"),
    shapely.from_wkt("POINT M (1 2 3)"),
    shapely.from_wkt("LINESTRING ZM (1 2 3 4, 5 6 7 8)"),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_geometry_comes_back_to_the_bit(geometry):
    assert look(pass_through(geometry)) == look(geometry)
    assert look(pass_through([geometry])) == look([geometry])


def test_a_geometry_is_written_as_wkt_alone_where_that_is_exact():
    assert encode_value(shapely.Point(0.1, 0.6369616873214543)) == {
        "$": "geometry",
        "text": "POINT (0.1 0.6369616873214543)",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), None),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (pd.NaT, None),
        (pd.NA, None),
        (date(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31, 12, tzinfo=UTC), "2024-01-31T12:00:00+00:00"),
        (pd.Timestamp("2024-01-31"), "2024-01-31T00:00:00"),
        (Decimal("1.10"), "1.10"),
        (pd.Period("2024-02", "M"), "2024-02"),
        (pd.Interval(0, 5), "(0, 5]"),
        ((1, 2), "(1, 2)"),
        ({1: 2}, "{1: 2}"),
        ("a\0b", "a␀b"),
        (shapely.Point(1, 2), "POINT (1 2)"),
        ("007", "007"),
        ([1, 2], [1, 2]),
    ],
)
def test_the_views_show_a_value_as_text_that_a_person_can_read(value, shown):
    assert show(value) == shown


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int16(7), 7),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), float("nan")),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.datetime64("2024-01-01", "s"), pd.Timestamp("2024-01-01").as_unit("s")),
        (np.datetime64("NaT"), pd.NaT),
        (np.timedelta64(5, "ms"), pd.Timedelta(milliseconds=5).as_unit("ms")),
        (Text("x"), "x"),
        ([np.int64(1)], [1]),
    ],
)
def test_scalars_of_numpy_and_of_subclasses_become_pythons_own(value, plain):
    assert look(pass_through(value)) == look(plain)


def nest(value, times):
    for _ in range(times):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (b"abc", "bytes"),
        (np.bytes_(b"abc"), "bytes"),
        ({1, 2}, "set"),
        (frozenset(), "frozenset"),
        (1j, "complex"),
        (np.complex64(1), "complex"),
        (np.longdouble("0.1"), "longdouble"),
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (np.uint64(2**63), "64 bits"),
        ("\ud800", "surrogate"),
        (Fruit.APPLE, "Fruit"),
        (Word.YES, "Word"),
        (Level.LOW, "Level"),
        (object(), "object"),
        (Path("x"), "pathlib"),
        (np.array([1]), "ndarray"),
        (Point(1, 2), "Point"),
        (OrderedDict(a=1), "OrderedDict"),
        (datetime(2024, 1, 1, tzinfo=dateutil.tz.tzlocal()), "time zone"),
        ([{"a": (b"",)}], "bytes"),
        ({b"": 1}, "bytes"),
        (nest(1, MAX_DEPTH + 1), "deep"),
    ],
)
def test_what_no_job_table_holds_is_refused_by_name(value, named):
    with pytest.raises(RefusedError, match=named) as caught:
        encode_value(value)
    assert caught.value.remedy


def test_a_list_that_contains_itself_is_refused():
    value = []
    value += [value, value]
    with pytest.raises(RefusedError, match="deep"):
        encode_value(value)


def test_the_deepest_nesting_still_comes_back():
    value = nest((), MAX_DEPTH - 1)
    assert pass_through(value) == value


def test_a_kind_of_a_newer_version_is_named():
    with pytest.raises(SchemaTooNewError, match="'quaternion'"):
        decode_value({"$": "quaternion", "text": "i"})
