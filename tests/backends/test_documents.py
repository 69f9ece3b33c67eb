"""The results document beside the files: valid STAC, without what belongs to the backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pystac
import pytest

from openeo_jobs.backends.documents import make_local
from openeo_jobs.policy.tags import write_tag

TAG = write_tag("abcdef", 7, "x1y2z")
ASSETS: dict[str, Any] = {
    "a b.tif": {"href": "https://x.test/a%20b.tif?sig=1", "type": "image/tiff", "roles": ["data"]},
    "not here": {"href": "https://x.test/b.tif?sig=1"},
}
LINKS = [
    {"rel": "self", "href": "https://x.test/jobs/j-1/results?sig=1"},
    {"rel": "item", "href": "https://x.test/jobs/j-1/results/items/1"},
    {"rel": "root", "href": "https://x.test/"},
    {"rel": "license", "href": "https://x.test/license?sig=1"},
]
ITEM: dict[str, Any] = {
    "type": "Feature", "stac_version": "1.0.0", "id": "j-1", "bbox": [5.0, 51.0, 5.1, 51.1],
    "geometry": {"type": "Polygon", "coordinates": [[[5, 51], [5.1, 51], [5.1, 51.1], [5, 51.1], [5, 51]]]},
    "properties": {"datetime": "2020-01-01T00:00:00Z", "title": f"tile 7 [{TAG}]"},
    "collection": "j-1", "links": LINKS, "assets": ASSETS,
}  # fmt: skip
COLLECTION: dict[str, Any] = {
    "type": "Collection", "stac_version": "1.0.0", "id": "j-1", "title": f"tile 7 [{TAG}]",
    "description": "", "license": "proprietary", "links": LINKS, "assets": ASSETS,
    "extent": {"spatial": {"bbox": [[5.0, 51.0, 5.1, 51.1]]}, "temporal": {"interval": [[None, None]]}},
}  # fmt: skip


@pytest.fixture(params=[ITEM, COLLECTION], ids=["item", "collection"])
def local(request: pytest.FixtureRequest) -> dict[str, Any]:
    return make_local(request.param, {"a b.tif": "ab-é.tif"})


def test_a_stac_client_finds_the_files(local: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "job-results.json").write_text(json.dumps(local))
    kind: Any = pystac.Item if local["type"] == "Feature" else pystac.Collection
    read = kind.from_file(str(tmp_path / "job-results.json"))
    assert list(read.assets) == ["a b.tif"]
    assert local["assets"]["a b.tif"]["href"] == "./ab-é.tif"
    assert read.assets["a b.tif"].get_absolute_href() == str(tmp_path / "ab-é.tif")


def test_it_leads_back_to_no_backend_and_has_no_secrets(local: dict[str, Any]) -> None:
    assert local["links"] == [{"rel": "license", "href": "https://x.test/license"}]
    assert "sig=1" not in json.dumps(local)
    assert "collection" not in local or local["type"] == "Collection"


def test_the_title_is_the_users(local: dict[str, Any]) -> None:
    assert local.get("title", local.get("properties", {}).get("title")) == "tile 7"


def test_what_was_given_stays_as_it_was() -> None:
    before = json.dumps(ITEM)
    make_local(ITEM, {})
    assert json.dumps(ITEM) == before


@pytest.mark.parametrize("odd", [{}, {"links": None, "assets": None}, {"links": [1, None], "properties": 3}])
def test_an_odd_document_stays_odd(odd: dict[str, Any]) -> None:
    assert make_local(odd, {})["links"] in ([], [1, None])
