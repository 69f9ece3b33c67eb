"""Tags are found again in titles, whatever backends and people do to those."""

from __future__ import annotations

import pytest

from openeo_jobs.policy.tags import Tag, find_tag, write_tag

UID = "3f9k2a000000"


@pytest.mark.parametrize("row", [1, 35, 36, 1295, 1296, 10_000_000])
def test_a_tag_is_found_again_with_its_row(row: int) -> None:
    tag = write_tag(UID, row, "x7q0z")
    assert find_tag(f"NDVI 31UFS [{tag}]", UID) == Tag(text=tag, row=row)


@pytest.mark.parametrize(
    ("title", "row"),
    [
        (None, None),
        ("", None),
        ("NDVI", None),
        ("NDVI [oj-zzzzzz-1-abcde]", None),
        ("[oj-3f9k2a-1-abcde]", 1),
        ("openEO job: NDVI [oj-3f9k2a-a-abcde] (copy)", 10),
        ("NDVI [oj-3f9k2a-1-abcde] [oj-3f9k2a-2-abcde]", 2),
        ("NDVI [oj-3f9k2a-1-abcde] [oj-zzzzzz-2-abcde]", 1),
        ("NDVI [oj-3f9k2a--abcde]", None),
        ("xoj-3f9k2a-1-abcde", None),
    ],
)
def test_only_tags_of_the_campaign_are_found(title: str | None, row: int | None) -> None:
    found = find_tag(title, UID)
    assert (found.row if found else None) == row
