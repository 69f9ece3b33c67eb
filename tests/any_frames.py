"""Any dataframe that a campaign may hold, as strategies of hypothesis."""

from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

import geopandas
import numpy as np
import pandas as pd
import shapely
from hypothesis import strategies as st

from openeo_jobs.frames.names import RESERVED_COLUMNS

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["007", "NA", "", "null", "a\0b"])
ZONES = st.sampled_from(
    [UTC, timezone(timedelta(hours=5, minutes=45)), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")]
)
UNITS = st.sampled_from(["s", "ms", "us", "ns"])
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NOTHING = st.sampled_from([None, np.nan, pd.NA, pd.NaT])
PYTHON_SCALARS = st.one_of(
    NOTHING,
    st.booleans(),
    INT64,
    st.floats(),
    TEXT,
    st.dates(),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=ZONES),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
HASHABLE = st.one_of(st.booleans(), INT64, TEXT, st.dates())


def nest(items):
    keys = TEXT | st.just("$")
    return st.one_of(
        st.lists(items, max_size=3),
        st.dictionaries(keys, items, max_size=3),
        st.dictionaries(HASHABLE, items, max_size=2),
        st.tuples(items, items),
    )


NESTED = st.recursive(PYTHON_SCALARS, nest, max_leaves=6)
POINTS = st.builds(shapely.Point, FINITE, FINITE) | st.builds(shapely.Point, FINITE, FINITE, FINITE)
GEOMETRIES = st.one_of(
    st.none(),
    POINTS,
    st.builds(shapely.box, FINITE, FINITE, FINITE, FINITE),
    st.builds(shapely.LineString, st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=4)),
    st.just(shapely.Point()),
)
MOMENTS = st.none() | st.integers(-(2**31), 2**31)


def build_objects(values):
    column = pd.Series(np.empty(len(values), dtype=object), dtype=object)
    for position, value in enumerate(values):
        column[position] = value
    return column


def build_moments(values, unit, zone):
    ticks = np.array([np.datetime64(value if value is not None else "NaT", unit) for value in values])
    index = pd.DatetimeIndex(ticks.astype(f"M8[{unit}]"))
    return pd.Series(index if zone is None else index.tz_localize("UTC").tz_convert(zone))


def build_timedeltas(values, unit):
    ticks = [np.timedelta64(value if value is not None else "NaT", unit) for value in values]
    return pd.Series(pd.TimedeltaIndex(np.array(ticks, dtype=f"m8[{unit}]")))


def column_of(values, build, *more):
    return lambda count: st.builds(build, st.lists(values, min_size=count, max_size=count), *more)


def typed(values, dtype):
    return column_of(values, lambda items: pd.Series(items, dtype=dtype))


def categories_of(values):
    kinds = st.lists(values, unique=True, max_size=4)

    def build(count, kinds, ordered):
        codes = st.lists(st.integers(-1, len(kinds) - 1), min_size=count, max_size=count)
        dtype = pd.CategoricalDtype(kinds, ordered=ordered)
        return codes.map(lambda chosen: pd.Series(pd.Categorical.from_codes(chosen, dtype=dtype)))

    return lambda count: st.tuples(kinds, st.booleans()).flatmap(lambda drawn: build(count, *drawn))


COLUMNS = [
    typed(INT64, "int64"),
    typed(st.integers(0, 255), "uint8"),
    typed(st.none() | INT64, "Int64"),
    typed(st.floats(), "float64"),
    typed(st.floats(width=32), "float32"),
    typed(st.none() | FINITE, "Float64"),
    typed(st.booleans(), "bool"),
    typed(st.none() | st.booleans(), "boolean"),
    typed(st.none() | TEXT, "string"),
    typed(st.none() | TEXT, "object"),
    column_of(MOMENTS, build_moments, UNITS, st.none() | ZONES),
    column_of(MOMENTS, build_timedeltas, UNITS),
    categories_of(TEXT),
    categories_of(INT64),
    categories_of(st.dates()),
    column_of(PYTHON_SCALARS, build_objects),
    column_of(NESTED, build_objects),
    column_of(GEOMETRIES, build_objects),
    column_of(GEOMETRIES, geopandas.GeoSeries, st.none(), st.sampled_from([None, 4326, "OGC:CRS84", 3035])),
]
INDEXES = [
    lambda count: st.builds(
        lambda start, step: pd.RangeIndex(start, start + step * count, step),
        st.integers(-9, 9),
        st.sampled_from([-2, 1, 3]),
    ),
    typed(INT64, "int64"),
    typed(st.none() | TEXT, "object"),
    typed(st.sampled_from(["a", "b"]), "object"),
    column_of(MOMENTS, build_moments, UNITS, st.none() | ZONES),
    categories_of(TEXT),
    typed(st.floats(), "float64"),
]
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6
).filter(lambda name: name.casefold() not in RESERVED_COLUMNS)


@st.composite
def dataframes(draw):
    count = draw(st.integers(0, 5))
    names = draw(st.lists(NAMES, unique_by=str.casefold, max_size=5))
    columns = {name: draw(draw(st.sampled_from(COLUMNS))(count)) for name in names}
    df = pd.DataFrame(columns, index=pd.RangeIndex(count), columns=pd.Index(names, dtype=object))
    geometries = [name for name in names if str(df[name].dtype) == "geometry"]
    if geometries and draw(st.booleans()):
        df = geopandas.GeoDataFrame(df, geometry=draw(st.sampled_from(geometries)))
    index = draw(draw(st.sampled_from(INDEXES))(count))
    df.index = pd.Index(index, name=draw(st.none() | TEXT), dtype=index.dtype)
    return df
