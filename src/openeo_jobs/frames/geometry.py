"""Geometries as WKT, and as WKB where WKT is not exact, and back; shapely and geopandas only if needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from openeo_jobs.frames.arrays import build_object_array

TAG = "geometry"
_EXACT = 20
"""Decimals that are enough for every double; shapely's default, 16 digits, loses the last bit of many."""


def is_geometry(value: object) -> bool:
    """Say whether *value* is a geometry, without importing shapely for it."""
    shapely = sys.modules.get("shapely")
    return shapely is not None and isinstance(value, shapely.Geometry)


def encode_geometries(geometries: Sequence[Any]) -> list[dict[str, Any] | None]:
    """Write geometries as tagged WKT, and as WKB too where the WKT alone would come back different."""
    import shapely

    array = build_object_array(geometries)
    texts = shapely.to_wkt(array, rounding_precision=_EXACT)
    wkbs = shapely.to_wkb(array, hex=True, include_srid=True)
    again = shapely.to_wkb(shapely.from_wkt(texts, on_invalid="ignore"), hex=True, include_srid=True)
    return [_cell(text, wkb, other) for text, wkb, other in zip(texts, wkbs, again, strict=True)]


def encode_geometry(geometry: Any) -> dict[str, Any] | None:
    """Write one geometry."""
    return encode_geometries([geometry])[0]


def decode_geometries(cells: Sequence[dict[str, Any] | None]) -> list[Any]:
    """Make the geometries that `encode_geometries` wrote."""
    import shapely

    texts = build_object_array([None if cell is None or "wkb" in cell else cell["text"] for cell in cells])
    geometries: list[Any] = list(shapely.from_wkt(texts))
    for position, cell in enumerate(cells):
        if cell is not None and "wkb" in cell:
            geometries[position] = _from_wkb(cell)
    return geometries


def decode_geometry(cell: dict[str, Any]) -> Any:
    """Make one geometry."""
    return decode_geometries([cell])[0]


def encode_crs(crs: Any) -> str | None:
    """Write a coordinate reference system as the shortest text that means exactly the same."""
    if crs is None:
        return None
    authority = crs.to_authority()
    texts = [":".join(authority)] if authority else []
    texts += [crs.to_wkt(), crs.to_json()]
    build = type(crs).from_user_input
    exact = [text for text in texts if crs.is_exact_same(build(text))]
    return str([*exact, texts[-1]][0])


def build_geometry_array(geometries: Sequence[Any], crs: str | None) -> Any:
    """Make geopandas' array of *geometries*."""
    import geopandas

    return geopandas.array.from_shapely(build_object_array(geometries), crs=crs)


def build_geo_frame(frame: Any, geometry: str | None) -> Any:
    """Make a GeoDataFrame whose active geometry is the column *geometry*."""
    import geopandas

    return geopandas.GeoDataFrame(frame, geometry=geometry)


def is_wkt(text: object) -> bool:
    """Say whether *text* is a geometry as well-known text."""
    import shapely

    return isinstance(text, str) and shapely.from_wkt(text, on_invalid="ignore") is not None


def round_wkt(text: str, decimals: int) -> str:
    """Return well-known text with rounded coordinates; any other text as it is."""
    import shapely

    found = shapely.from_wkt(text, on_invalid="ignore")
    return text if found is None else str(shapely.to_wkt(found, rounding_precision=decimals))


def make_geo_frame(frame: Any, geometry: str) -> Any:
    """Return a dataframe whose column *geometry* holds well-known text as a GeoDataFrame, without a CRS."""
    import geopandas
    import shapely

    try:
        geometries = geopandas.GeoSeries.from_wkt(frame[geometry])
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"column {geometry!r} holds something that is no geometry: {error}") from error
    return geopandas.GeoDataFrame(frame.assign(**{geometry: geometries}), geometry=geometry)


def read_geo_parquet(path: Path) -> Any:
    """Read a Parquet file with geometries."""
    import geopandas

    return geopandas.read_parquet(path)


def plain_unless_geo(frame: Any) -> Any:
    """Return *frame* as it is, but as a plain dataframe if it has no column of geometries to be geo by."""
    if is_geo_frame(frame) and not any(str(dtype) == "geometry" for dtype in frame.dtypes):
        return pd.DataFrame(frame)
    return frame


def is_geo_frame(frame: object) -> bool:
    """Say whether *frame* is a GeoDataFrame, without importing geopandas for it."""
    geopandas = sys.modules.get("geopandas")
    return geopandas is not None and isinstance(frame, geopandas.GeoDataFrame)


def find_active_geometry(frame: Any) -> str | None:
    """Return the name of the active geometry column, None where there is none."""
    try:
        return str(frame.geometry.name) if is_geo_frame(frame) else None
    except AttributeError:
        return None


def _cell(text: str | None, wkb: str | None, wkb_of_text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    cell = {"$": TAG, "text": text}
    return cell if wkb == wkb_of_text else {**cell, "wkb": wkb}


def _from_wkb(cell: dict[str, Any]) -> Any:
    """Make a geometry from WKB, which has no word for a ring by itself."""
    import shapely

    geometry = shapely.from_wkb(cell["wkb"])
    if not cell["text"].startswith("LINEARRING"):
        return geometry
    return shapely.set_srid(shapely.LinearRing(geometry), shapely.get_srid(geometry))
