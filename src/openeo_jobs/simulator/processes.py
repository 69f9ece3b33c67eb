"""The processes that the simulator knows: openEO's own by name, the most used ones with their parameters."""

from __future__ import annotations

from typing import Any

_SIGNATURES = {
    "load_collection": "id spatial_extent temporal_extent bands? properties?",
    "save_result": "data format options?",
    "ndvi": "data nir? red? target_band?",
    "reduce_dimension": "data reducer dimension context?",
    "apply": "data process context?",
    "apply_dimension": "data process dimension target_dimension? context?",
    "aggregate_temporal_period": "data period reducer dimension? context?",
    "aggregate_spatial": "data geometries reducer target_dimension? context?",
    "filter_bands": "data bands? wavelengths?",
    "filter_bbox": "data extent",
    "filter_spatial": "data geometries",
    "filter_temporal": "data extent dimension?",
    "mask": "data mask replacement?",
    "mask_polygon": "data mask replacement? inside?",
    "merge_cubes": "cube1 cube2 overlap_resolver? context?",
    "resample_spatial": "data resolution? projection? method? align?",
    "resample_cube_spatial": "data target method?",
    "max": "data ignore_nodata?",
    "mean": "data ignore_nodata?",
    "median": "data ignore_nodata?",
    "min": "data ignore_nodata?",
    "array_element": "data index? label? return_nodata?",
    "add": "x y",
    "subtract": "x y",
    "multiply": "x y",
    "divide": "x y",
    "run_udf": "data udf runtime version? context?",
}

_OTHERS = """
    absolute add_dimension aggregate_spatial_window aggregate_temporal all and anomaly any apply_kernel
    apply_neighborhood apply_polygon arccos arcosh arcsin arctan arctan2 ard_normalized_radar_backscatter
    ard_surface_reflectance array_append array_apply array_concat array_contains array_create
    array_create_labeled array_filter array_find array_find_label array_interpolate_linear array_labels
    array_modify arsinh artanh atmospheric_correction between ceil climatological_normal clip cloud_detection
    constant cos cosh count create_data_cube cummax cummin cumproduct cumsum date_between date_difference
    date_replace_component date_shift dimension_labels drop_dimension e eq exp export_workspace extrema
    filter_labels filter_vector first fit_class_random_forest fit_curve fit_regr_random_forest
    flatten_dimensions floor gt gte if inspect int is_infinite is_nan is_nodata is_valid last
    linear_scale_range ln load_geojson load_ml_model load_result load_stac load_uploaded_files load_url log
    lt lte mask_scl_dilation mod nan neq normalized_difference not or order pi power predict_curve
    predict_random_forest product quantiles rearrange reduce_spatial rename_dimension rename_labels
    resample_cube_temporal round run_udf_externally sar_backscatter save_ml_model sd sgn sin sinh sort sqrt
    sum tan tanh text_begins text_concat text_contains text_ends text_find text_merge to_scl_dilation_mask
    trim_cube unflatten_dimension variance vector_buffer vector_reproject vector_to_random_points
    vector_to_regular_points xor
"""

PROCESS_IDS = frozenset(_SIGNATURES) | frozenset(_OTHERS.split())


def list_processes() -> list[dict[str, Any]]:
    """Return what `GET /processes` says of each process."""
    return [_describe(process_id) for process_id in sorted(PROCESS_IDS)]


def _describe(process_id: str) -> dict[str, Any]:
    return {
        "id": process_id,
        "summary": process_id.replace("_", " ").capitalize(),
        "description": "As in the openEO processes; the simulator accepts it and computes nothing.",
        "parameters": [_describe_parameter(name) for name in _SIGNATURES.get(process_id, "").split()],
        "returns": {"description": "Nothing that was computed.", "schema": {}},
    }


def _describe_parameter(name: str) -> dict[str, Any]:
    parameter = {"name": name.rstrip("?"), "description": name.rstrip("?"), "schema": {}}
    return {**parameter, "optional": True, "default": None} if name.endswith("?") else parameter
