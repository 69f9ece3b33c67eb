"""Jobs to pandas and back, to the dtype; the output file."""

from openeo_jobs.frames.comparison import Comparison, compare
from openeo_jobs.frames.edited import Edited, compare_edited_frame, read_edited_file
from openeo_jobs.frames.files import PARQUET_SUFFIXES, is_parquet, mirror_bytes, read_campaign_file
from openeo_jobs.frames.names import OUTPUT_COLUMNS, RESERVED_COLUMNS
from openeo_jobs.frames.output import csv_bytes, frame_by_number, output_frame
from openeo_jobs.frames.rows import decode_cells_of, decode_frame, fits, format_usage, to_series, track_values
from openeo_jobs.frames.table import encode_table
from openeo_jobs.frames.written import Handed, find_written, number_of

__all__ = [
    "OUTPUT_COLUMNS",
    "PARQUET_SUFFIXES",
    "RESERVED_COLUMNS",
    "Comparison",
    "Edited",
    "Handed",
    "compare",
    "compare_edited_frame",
    "csv_bytes",
    "decode_cells_of",
    "decode_frame",
    "encode_table",
    "find_written",
    "fits",
    "format_usage",
    "frame_by_number",
    "is_parquet",
    "mirror_bytes",
    "number_of",
    "output_frame",
    "read_campaign_file",
    "read_edited_file",
    "to_series",
    "track_values",
]
