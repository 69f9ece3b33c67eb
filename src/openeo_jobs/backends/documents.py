"""The results document as it lies beside the files: valid STAC that needs nothing but this folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openeo_jobs.backends.texts import storable, without_query
from openeo_jobs.policy.tags import without_tag

_OF_THE_BACKEND = frozenset({"self", "canonical", "root", "parent", "child", "collection", "item", "items"})
"""Relations of links that lead back to the backend, where a STAC client would follow them."""


def make_local(document: Mapping[str, Any], filenames: Mapping[str, str]) -> dict[str, Any]:
    """Return *document* with links to the files beside it, by the names of its assets in *filenames*.

    Assets that are not there are left out. Queries of
    links, which may be signed, are left out, and the tag that the tracker has put into the title.
    """
    local: dict[str, Any] = _without_secrets(document)
    assets = document.get("assets")
    if isinstance(assets, dict):
        local["assets"] = {
            name: {**local["assets"][name], "href": f"./{filenames[storable(name)]}"}
            for name in assets
            if storable(name) in filenames
        }
    links = local.get("links")
    kept = [link for link in links if _is_kept(link)] if isinstance(links, list) else []
    local["links"] = kept
    if local.get("type") == "Feature":  # it names its collection only with a link to it
        local.pop("collection", None)
    for members in (local, local.get("properties")):
        if isinstance(members, dict) and isinstance(members.get("title"), str):
            members["title"] = without_tag(members["title"])
    return local


def _is_kept(link: Any) -> bool:
    return not (isinstance(link, dict) and link.get("rel") in _OF_THE_BACKEND)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without_query(item) if name == "href" and isinstance(item, str) else _without_secrets(item)
        for name, item in value.items()
    }
