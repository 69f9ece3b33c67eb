"""Jobs to pandas and back, to the dtype; the output file."""

from openeo_jobs.frames.comparison import describe_difference
from openeo_jobs.frames.files import read_csv
from openeo_jobs.frames.names import OUTPUT_COLUMNS, RESERVED_COLUMNS
from openeo_jobs.frames.output import csv_bytes, output_frame
from openeo_jobs.frames.rows import decode_frame, format_usage, to_series, track_values
from openeo_jobs.frames.table import encode_table

__all__ = [
    "OUTPUT_COLUMNS",
    "RESERVED_COLUMNS",
    "csv_bytes",
    "decode_frame",
    "describe_difference",
    "encode_table",
    "format_usage",
    "output_frame",
    "read_csv",
    "to_series",
    "track_values",
]
