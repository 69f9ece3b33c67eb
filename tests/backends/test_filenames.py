"""File names of assets."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openeo.rest.job import ResultAsset

from openeo_jobs.backends.filenames import MAX_BYTES, assign_filenames


def name_of(key, href="https://x.test/f/data.bin", media_type=None):
    return assign_filenames({key: {"href": href, "type": media_type}}, reserved=())[key]


@pytest.mark.parametrize(
    ("key", "href", "media_type"),
    [
        ("openEO_2024-01-01.tif", "https://x.test/f/1", "image/tiff"),
        ("data", "https://x.test/f/out.nc?sig=1", None),
        ("my data!", "https://x.test/f/a%20b", "image/png"),
        ("B04", "https://x.test/f/B04", "application/zip"),
        ("B04", "https://x.test/f/B04", "some/thing"),
        ("é", "https://x.test/f/é.tif", None),
        ("", "https://x.test/f/é.tif", None),
    ],
)
@pytest.mark.skipif(not hasattr(ResultAsset, "_make_filename"), reason="an older client names otherwise")
def test_names_are_those_of_openeos_client(key, href, media_type):
    if key == "":
        assert name_of(key, href, media_type) == "-é.tif"  # openEO's client raises
        return
    asset = ResultAsset(job=None, key=key, href=href, metadata={"type": media_type})
    assert name_of(key, href, media_type) == asset._make_filename()


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("CON.tif", "_CON.tif"),
        ("lpt1.txt", "_lpt1.txt"),
        ("a.tif", "a.tif"),
        ("..", "..-data.bin"),
        ("a\nb.tif", "ab.tif-data.bin"),
    ],
)
def test_awkward_names(key, name):
    assert name_of(key) == name


def test_names_that_differ_in_case_only_are_told_apart_whatever_the_order():
    assets = {"B.tif": {}, "b.tif": {}, "b-2.tif": {}}
    names = assign_filenames(assets, reserved=())
    assert sorted(names) == sorted(assets)
    assert len({name.casefold() for name in names.values()}) == 3
    assert assign_filenames(dict(reversed(assets.items())), reserved=()) == names


def test_no_name_is_the_temporary_name_of_another():
    names = assign_filenames({"a.tif": {}, "a.tif.part": {}}, reserved=())
    assert names == {"a.tif": "a.tif", "a.tif.part": "a.tif-2.part"}


def test_over_long_names_are_cut_and_stay_apart():
    names = assign_filenames({"x" * 400 + "1.tif": {}, "x" * 400 + "2.tif": {}}, reserved=()).values()
    assert len(set(names)) == 2
    assert all(name.endswith(".tif") and len(name) <= MAX_BYTES for name in names)


@given(st.dictionaries(st.text(), st.fixed_dictionaries({"href": st.text(), "type": st.text()})))
def test_whatever_a_backend_says_names_are_safe_and_distinct(assets):
    names = list(assign_filenames(assets, reserved=("job-results.json",)).values())
    for name in names:
        assert name.strip("."), name
        assert not set(name) & set('/\\:\0\n<>|"?*'), name
        assert len(name.encode()) <= MAX_BYTES + 12
        assert name.lower() != "job-results.json"
    assert len({name.casefold() for name in names}) == len(names)


def test_10000_names_of_which_nothing_is_left_are_told_apart_in_a_moment():
    began = time.process_time()
    names = assign_filenames(
        {"!" * number: {"href": "https://x.test/a"} for number in range(10_000)}, reserved=()
    )
    assert len(set(names.values())) == 10_000
    assert time.process_time() - began < 5
