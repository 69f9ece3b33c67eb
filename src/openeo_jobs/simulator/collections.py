"""The collections that the simulator offers, as STAC documents with the data cube extension."""

from __future__ import annotations

from typing import Any

STAC_VERSION = "1.0.0"

_BANDS = {
    "SENTINEL2_L2A": (
        *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
        *("AOT", "WVP", "SCL", "sunAzimuthAngles", "sunZenithAngles", "viewAzimuthMean", "viewZenithMean"),
    ),
    "SENTINEL1_GRD": ("VV", "VH", "HV", "HH"),
    "COPERNICUS_30": ("DEM",),
}
_TITLES = {
    "SENTINEL2_L2A": "Sentinel-2 surface reflectance",
    "SENTINEL1_GRD": "Sentinel-1 ground range detected",
    "COPERNICUS_30": "Copernicus digital elevation model, 30 m",
}
_COMMON_NAMES = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "B12": "swir22"}
_SINCE = {"SENTINEL2_L2A": "2015-07-04T00:00:00Z", "SENTINEL1_GRD": "2014-10-03T00:00:00Z"}


def list_collections(url: str) -> list[dict[str, Any]]:
    """Return what `GET /collections` says of each collection."""
    return [_describe_briefly(collection_id, url) for collection_id in _BANDS]


def describe_collection(collection_id: str, url: str) -> dict[str, Any] | None:
    """Return what `GET /collections/{id}` says; None for an unknown collection."""
    if collection_id not in _BANDS:
        return None
    return {
        **_describe_briefly(collection_id, url),
        "cube:dimensions": _describe_dimensions(collection_id),
        "summaries": {"eo:bands": [_describe_band(name) for name in _BANDS[collection_id]]},
    }


def get_bands(collection_id: str) -> tuple[str, ...] | None:
    """Return the names of the bands; None for an unknown collection."""
    return _BANDS.get(collection_id)


def _describe_briefly(collection_id: str, url: str) -> dict[str, Any]:
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": ["https://stac-extensions.github.io/datacube/v2.2.0/schema.json"],
        "id": collection_id,
        "title": _TITLES[collection_id],
        "description": f"{_TITLES[collection_id]}, simulated: no pixel is ever read.",
        "license": "proprietary",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [_get_interval(collection_id)]},
        },
        "links": [{"rel": "self", "href": f"{url}/collections/{collection_id}"}],
    }


def _describe_dimensions(collection_id: str) -> dict[str, Any]:
    return {
        "x": {"type": "spatial", "axis": "x", "extent": [-180, 180], "reference_system": 4326},
        "y": {"type": "spatial", "axis": "y", "extent": [-90, 90], "reference_system": 4326},
        "t": {"type": "temporal", "extent": _get_interval(collection_id)},
        "bands": {"type": "bands", "values": list(_BANDS[collection_id])},
    }


def _describe_band(name: str) -> dict[str, str]:
    return {"name": name, "common_name": _COMMON_NAMES[name]} if name in _COMMON_NAMES else {"name": name}


def _get_interval(collection_id: str) -> list[str | None]:
    return [_SINCE.get(collection_id, "2010-01-01T00:00:00Z"), None]
