"""Root URLs."""

from __future__ import annotations

import pytest

from openeo_jobs.backends.roots import Root, join, secured


@pytest.mark.parametrize("root", ["https://x.test/o/1.2", "https://X.test:443//o/1.2/"])
def test_what_lies_below_a_root(root):
    assert Root.of(root).path_below("https://x.test/o//1.2/jobs/a%20b/") == ("jobs", "a b")
    assert Root.of(root).path_below("https://x.test/o/1.2") == ()


@pytest.mark.parametrize(
    "url",
    [
        "https://x.test/o/1.20/jobs",
        "http://x.test/o/1.2/jobs",
        "https://y.test/o/1.2/jobs",
        "https://[/",
        "/o/1.2",
    ],
)
def test_what_does_not(url):
    assert Root.of("https://x.test/o/1.2").path_below(url) is None


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("http://x.test/jobs?a=1", "https://x.test/jobs?a=1"),
        ("http://x.test:443/jobs", "https://x.test/jobs"),
        ("http://x.test:8080/jobs", "http://x.test:8080/jobs"),
        ("http://y.test/jobs", "http://y.test/jobs"),
        ("https://x.test/jobs", "https://x.test/jobs"),
    ],
)
def test_links_that_fall_back_to_http_are_asked_by_https(url, better):
    assert secured(url, "https://x.test/o") == better


def test_a_root_by_http_stays_by_http():
    assert secured("http://x.test/jobs", "http://x.test") == "http://x.test/jobs"


def test_joining():
    assert join("https://x.test/o/", "jobs", "a/b") == "https://x.test/o/jobs/a%2Fb"
    assert join("https://x.test/o") == "https://x.test/o/"
