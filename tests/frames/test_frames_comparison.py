import geopandas
import pandas as pd
import shapely

from frames_exact import store
from openeo_jobs.frames import describe_difference, encode_table


def differ(new, old):
    return describe_difference(encode_table(new), *store(encode_table(old)))


OLD = pd.DataFrame({"year": [2024, 2025, 2025], "tile": ["a", None, "b"]})


def test_the_same_rows_are_the_same():
    assert differ(OLD, OLD) is None


def test_order_and_index_do_not_count():
    assert differ(OLD.iloc[::-1].set_axis(["x", "y", "z"]), OLD) is None


def test_a_normalized_dataframe_is_the_same():
    assert differ(OLD.assign(id=None, status="not_started"), OLD) is None


def test_text_is_text_whatever_the_version_of_pandas_calls_it():
    old = OLD.dropna()
    assert differ(old.astype({"tile": "string"}), old) is None


def test_another_value_is_told_with_its_row():
    difference = differ(OLD.assign(year=[2024, 2025, 2026]), OLD)
    assert '1 of its rows are not in the campaign, such as [2026,"b"]' in difference
    assert '1 of the campaign\'s rows are not in it, such as [2025,"b"]' in difference


def test_a_row_that_is_there_twice_counts_twice():
    assert "1 of its rows are not in the campaign" in differ(pd.concat([OLD, OLD.iloc[:1]]), OLD)


def test_other_columns_are_told():
    assert "the columns are ['tile', 'year']" in differ(OLD[["tile", "year"]], OLD)


def test_another_dtype_is_told():
    assert "column 'year' is of dtype int32" in differ(OLD.astype({"year": "int32"}), OLD)


def test_a_number_is_not_the_text_of_it():
    assert differ(pd.DataFrame({"x": ["1"]}), pd.DataFrame({"x": pd.Series([1], dtype=object)}))


def test_another_coordinate_reference_system_is_told():
    points = [shapely.Point(1, 2)]
    old = geopandas.GeoDataFrame(geometry=points, crs=4326)
    new = geopandas.GeoDataFrame(geometry=points, crs=3035)
    assert "in EPSG:3035" in differ(new, old)
