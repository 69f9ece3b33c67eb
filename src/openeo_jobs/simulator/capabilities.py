"""What the simulator says of itself: capabilities, versions, conformance, file formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.routing import Route

from openeo_jobs.simulator.collections import STAC_VERSION

API_VERSION = "1.2.0"
CURRENCY = "credits"

_CONFORMANCE = [
    "https://api.openeo.org/1.2.0",
    "https://api.openeo.org/extensions/commercial-data/0.1.0",
    f"https://api.stacspec.org/v{STAC_VERSION}/core",
    f"https://api.stacspec.org/v{STAC_VERSION}/collections",
]


def describe_service(name: str, *, url: str, routes: Iterable[Route]) -> dict[str, Any]:
    """Return what `GET /` says; the endpoints are those of *routes*."""
    return {
        "api_version": API_VERSION,
        "backend_version": "simulated",
        "stac_version": STAC_VERSION,
        "type": "Catalog",
        "id": name,
        "title": f"Simulated openEO backend {name}",
        "description": "A local simulator: it keeps to the openEO API and computes nothing.",
        "production": False,
        "conformsTo": _CONFORMANCE,
        "endpoints": [_describe_endpoint(route) for route in routes],
        "billing": {
            "currency": CURRENCY,
            "default_plan": "free",
            "plans": [{"name": "free", "description": "One credit per second of running.", "paid": False}],
        },
        "links": [
            {"rel": "version-history", "href": f"{url}/.well-known/openeo", "type": "application/json"},
            {"rel": "conformance", "href": f"{url}/conformance", "type": "application/json"},
            {"rel": "data", "href": f"{url}/collections", "type": "application/json"},
        ],
    }


def describe_versions(url: str) -> dict[str, Any]:
    """Return what `GET /.well-known/openeo` says."""
    return {"versions": [{"url": f"{url}/", "api_version": API_VERSION, "production": True}]}


def describe_conformance() -> dict[str, Any]:
    """Return what `GET /conformance` says."""
    return {"conformsTo": _CONFORMANCE}


def describe_file_formats() -> dict[str, Any]:
    """Return what `GET /file_formats` says; whatever is asked for, the files are always the same three."""
    raster = {"gis_data_types": ["raster"], "parameters": {}}
    return {
        "input": {},
        "output": {
            "GTiff": {"title": "GeoTIFF", **raster},
            "netCDF": {"title": "Network Common Data Form", **raster},
            "PNG": {"title": "Portable Network Graphics", **raster},
            "JSON": {"title": "JavaScript Object Notation", "gis_data_types": ["table"], "parameters": {}},
        },
        "links": [],
    }


def _describe_endpoint(route: Route) -> dict[str, Any]:
    return {"path": route.path, "methods": sorted((route.methods or set()) - {"HEAD"})}
