import json
from dataclasses import replace

import geopandas
import pandas as pd
import pytest
import shapely

from frames_exact import store
from openeo_jobs.errors import FrameError
from openeo_jobs.frames import compare, encode_table

OLD = pd.DataFrame({"year": [2024, 2025, 2025], "tile": ["a", None, "b"]})


def compare_with(new, old, **kwargs):
    return compare(new, *store(encode_table(old)), **kwargs)


def describe(new, old=OLD):
    return compare_with(new, old).describe()


def cells(rows):
    return [json.loads(row.params) for row in rows]


def changes(comparison):
    return [dict(change.cells) for change in comparison.changed.values()]


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        OLD.iloc[::-1].set_axis([7, 8, 9]),
        OLD[["tile", "year"]],
        OLD.assign(id=None, status="not_started"),
        OLD.astype({"year": "int32"}),
        OLD.astype({"year": "float64"}),
        OLD.astype({"year": "str"}),
        OLD.astype({"tile": "string"}),
        OLD.astype({"tile": "category"}),
        OLD.fillna({"tile": float("nan")}),
    ],
    ids=["same", "order", "columns", "normalized", "int32", "float", "text", "string", "category", "missing"],
)
def test_rows_that_mean_the_same_are_the_same(new):
    assert compare_with(new, OLD).is_same


def test_another_value_is_told_with_its_row():
    difference = describe(OLD.assign(year=[2024, 2025, 2026]))
    assert '1 of its rows are not in the campaign, such as [2026,"b"]' in difference
    assert '1 of the campaign\'s rows are not in it, such as [2025,"b"]' in difference


def test_a_row_that_is_there_twice_counts_twice():
    assert "1 of its rows are not in the campaign" in describe(pd.concat([OLD, OLD.iloc[:1]]))


def test_a_number_is_not_the_text_of_it_where_both_may_be():
    assert not compare_with(
        pd.DataFrame({"x": ["1"]}), pd.DataFrame({"x": pd.Series([1], dtype=object)})
    ).is_same


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([2024.5, 2025, 2025], "column 'year', row 0: 2024.5 does not fit the dtype int64"),
        ([2024, None, 2025], "column 'year', row 1: nan does not fit the dtype int64"),
        (["2024", "soon", "2025"], "column 'year', row 1: 'soon' does not fit the dtype int64"),
        (pd.to_datetime(["2024", "2025", "2025"]), "column 'year', row 0: "),
    ],
)
def test_a_cell_that_does_not_fit_is_refused_by_column_and_row(column, message):
    with pytest.raises(FrameError, match="does not fit the campaign") as refused:
        compare_with(OLD.assign(year=column), OLD)
    assert message in str(refused.value)


def test_a_category_that_is_not_stored_is_refused():
    old = OLD.astype({"tile": "category"})
    with pytest.raises(FrameError, match="column 'tile', row 0: 'new' does not fit the dtype category"):
        compare_with(OLD.assign(tile="new"), old)


def test_a_missing_column_is_refused():
    with pytest.raises(FrameError, match="it has no column 'year'"):
        compare_with(OLD[["tile"]], OLD)


def test_another_coordinate_reference_system_is_refused_with_the_remedy():
    points = [shapely.Point(1, 2)]
    old = geopandas.GeoDataFrame(geometry=points, crs=4326)
    with pytest.raises(FrameError, match=r"in EPSG:3035.*df.to_crs\('EPSG:4326'\)"):
        compare_with(geopandas.GeoDataFrame(geometry=points, crs=3035), old)
    assert compare_with(geopandas.GeoDataFrame(geometry=points), old).is_same


def test_what_a_csv_made_of_a_dataframe_is_the_same(tmp_path):
    new = geopandas.GeoDataFrame(
        {
            "tile": ["007", None],
            "day": pd.to_datetime(["2024-01-01", "2024-02-01"]),
            "bands": [["B04", "B08"], ["B02"]],
            "x": [0.1 + 0.2, 1e-7],
        },
        geometry=[shapely.Point(0.1, 1 / 3).buffer(0.3), shapely.Point(2, 3)],
        crs=4326,
    )
    new.assign(tile=["a", "b"]).to_csv(tmp_path / "jobs.csv", index=False)
    read = pd.read_csv(tmp_path / "jobs.csv")
    old = geopandas.GeoDataFrame(read.assign(geometry=geopandas.GeoSeries.from_wkt(read["geometry"])))
    campaign, jobs = store(encode_table(old))
    assert compare(new.assign(tile=["a", "b"]), replace(campaign, taken_over_from="jobs.csv"), jobs).is_same


def test_with_a_key_rows_may_differ_in_their_other_cells():
    comparison = compare_with(OLD.assign(year=2030), OLD.assign(tile=["a", "c", "b"]), key=["tile"])
    assert cells(comparison.new) == [[2030, None]]
    assert changes(comparison) == [{0: 2030}, {0: 2030}]
    assert [json.loads(job.params) for job in comparison.missing] == [[2025, "c"]]


def test_a_key_may_be_one_name():
    assert compare_with(OLD, OLD, key="tile").is_same


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (["town"], r"key names 'town', which is no column of the campaign \(year, tile\)"),
        ([], "key names no column"),
        (["year"], r"rows 1 and 2 have the same key \(2025\)"),
    ],
)
def test_a_key_that_tells_nothing_is_refused(key, message):
    with pytest.raises(FrameError, match=message):
        compare_with(OLD, OLD, key=key)


def test_new_columns_get_cells_for_all_rows():
    new = pd.concat([OLD.iloc[[2, 0]], pd.DataFrame({"year": [2026], "tile": ["d"]})]).assign(cloud=[1, 2, 3])
    comparison = compare_with(new, OLD)
    nan = {"$": "float", "text": None, "value": "nan"}
    assert [(new.column.name, new.column.dtype, new.missing) for new in comparison.columns] == [
        ("cloud", "float64", nan)
    ]
    assert cells(comparison.new) == [[2026, "d", 3.0]]
    assert changes(comparison) == [{2: 1.0}, {2: 2.0}]


def test_a_backend_that_a_row_is_pinned_to_counts_only_where_it_is_told():
    pinned = OLD.assign(backend_name="north")
    assert compare_with(OLD, pinned).is_same
    changed = compare_with(pinned, OLD).changed
    assert {row.pinned_backend for row in changed.values()} == {"north"}
