import io
from datetime import UTC, datetime

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from openeo.extra.job_management import CsvJobDatabase

from frames_exact import NOW, store, store_job
from openeo_jobs.frames import OUTPUT_COLUMNS, csv_bytes, encode_table, output_frame
from openeo_jobs.jobs import Attempt, BatchJob, Outcome
from openeo_jobs.status import JobStatus

STATUSES = [JobStatus.FINISHED, JobStatus.NOT_STARTED, JobStatus.LOST]


def make_attempt(number):
    batch_job = BatchJob(id=number, backend_name="vito", outcome=Outcome.CREATED, batch_job_id=f"00{number}")
    return Attempt(
        id=number,
        number=1,
        backend_name="vito",
        began_at=NOW,
        batch_job=batch_job,
        start_time=datetime(2024, 1, 1, 12, tzinfo=UTC),
        costs=1.5,
        usage={"disk": {"value": number, "unit": "GB"}, "cpu": {"value": 2, "unit": "cpu-seconds"}},
    )


def make_campaign(df):
    """The first job has finished, the second waits, the third is lost, and so on."""
    table = encode_table(df)
    campaign, _ = store(table)
    return campaign, [
        store_job(
            number,
            new,
            status=STATUSES[number % 3],
            attempt=None if number % 3 == 1 else make_attempt(number),
        )
        for number, new in enumerate(table.jobs)
    ]


def read_back(df, folder):
    path = folder / "jobs.csv"
    path.write_bytes(csv_bytes(*make_campaign(df)))
    return CsvJobDatabase(path).read()


def test_the_users_columns_come_first_then_the_documented_then_further_usage():
    df = pd.DataFrame({"z": [1, 2, 3], "a": ["x", "y", "z"]}, index=["r", "s", "t"])
    frame = output_frame(*make_campaign(df))
    assert list(frame) == ["z", "a", *OUTPUT_COLUMNS, "disk"]
    assert list(frame.index) == ["r", "s", "t"]
    assert frame["z"].dtype == "int64"
    assert frame["costs"].dtype == "float64"


def test_a_usage_field_never_replaces_a_column_of_the_user():
    df = pd.DataFrame({"disk": ["mine", "mine", "mine"]})
    frame = output_frame(*make_campaign(df))
    assert list(frame) == ["disk", *OUTPUT_COLUMNS]
    assert frame["disk"].tolist() == ["mine", "mine", "mine"]


def test_the_csv_reads_as_documented():
    df = pd.DataFrame({"year": [2024, 2025, 2026]})
    assert csv_bytes(*make_campaign(df)).decode().splitlines() == [
        "year,id,backend_name,status,start_time,running_start_time,cpu,memory,duration,costs,disk",
        "2024,000,vito,finished,2024-01-01T12:00:00Z,,2 cpu-seconds,,,1.5,0 GB",
        "2025,,,not_started,,,,,,,",
        "2026,002,vito,error,2024-01-01T12:00:00Z,,2 cpu-seconds,,,1.5,2 GB",
    ]


def test_upstream_reads_the_statuses_and_ids(tmp_path):
    df = pd.DataFrame({"year": [2024, 2025, 2026], "name": ["a,b", 'say "x"\n', "ü"]})
    again = read_back(df, tmp_path)
    assert again["status"].tolist() == ["finished", "not_started", "error"]
    assert again["id"].tolist() == ["000", np.nan, "002"]
    assert again["costs"].tolist()[0] == 1.5
    assert again["name"].tolist() == df["name"].tolist()
    assert again["year"].tolist() == [2024, 2025, 2026]


def test_upstream_reads_geometries(tmp_path):
    points = [shapely.Point(0.1, 2), shapely.Point(3, 4), shapely.Point(5, 6)]
    df = geopandas.GeoDataFrame({"year": [1, 2, 3]}, geometry=points, crs=4326)
    assert isinstance(output_frame(*make_campaign(df)), geopandas.GeoDataFrame)
    again = read_back(df, tmp_path)
    assert isinstance(again, geopandas.GeoDataFrame)
    assert again.geometry.tolist() == points
    assert again["status"].tolist() == ["finished", "not_started", "error"]


def test_the_csv_is_what_pandas_writes_of_the_users_dataframe():
    df = pd.DataFrame(
        {
            "a": [1.5, np.nan, np.inf],
            "b": [[1, 2], None, {"x": 1}],
            "c": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "d": pd.to_datetime(["2024-01-01", None, "2024-01-03"]).tz_localize("Europe/Berlin"),
            "e": pd.array([1, None, 3], dtype="Int64"),
            "f": pd.Categorical(["x", None, "y"]),
            "g": ["007", "NA", ""],
        }
    )
    written = pd.read_csv(io.BytesIO(csv_bytes(*make_campaign(df))), dtype=str)[list(df)]
    expected = pd.read_csv(io.StringIO(df.to_csv(index=False)), dtype=str)
    pd.testing.assert_frame_equal(written, expected)


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", "a\nb", "a\0b", "\ufeff", "\u2028", "'", '"', "a;b\t"])
def test_no_text_breaks_the_rows_apart(text, tmp_path):
    again = read_back(pd.DataFrame({"x": [text, "y", "z"]}), tmp_path)
    assert again["status"].tolist() == ["finished", "not_started", "error"]
    assert again["id"].tolist() == ["000", np.nan, "002"]


def test_the_same_jobs_make_the_same_bytes():
    df = pd.DataFrame({"x": [1, 2, 3], "b": [{"b": 1, "a": 2}, None, [1]]})
    assert csv_bytes(*make_campaign(df)) == csv_bytes(*make_campaign(df))


def test_a_campaign_without_rows_has_a_header():
    header = csv_bytes(*make_campaign(pd.DataFrame({"x": []}))).decode()
    assert header == ",".join(["x", *OUTPUT_COLUMNS]) + "\n"


def test_many_columns_and_usage_fields_warn_about_nothing():
    df = pd.DataFrame({f"c{number}": pd.array([1], dtype="Int64") for number in range(150)})
    assert len(output_frame(*make_campaign(df)).columns) == 150 + len(OUTPUT_COLUMNS) + 1


@pytest.mark.long
def test_a_hundred_thousand_rows_take_seconds():
    count = 100_000
    points = shapely.points(np.arange(count) / 7, 1 / 3)
    df = geopandas.GeoDataFrame({"year": range(count), "name": "007"}, geometry=points, crs=4326)
    campaign, jobs = make_campaign(df)
    began = datetime.now(UTC)
    csv_bytes(campaign, jobs)
    assert (datetime.now(UTC) - began).total_seconds() < 20
