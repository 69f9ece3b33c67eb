"""The results document and its files; the logs."""

import hashlib
import json
import struct
import zlib

import pytest
import requests


@pytest.fixture
def finished(api, clock):
    batch_job_id = api.create()
    api.start(batch_job_id)
    clock.advance(111)
    return batch_job_id


@pytest.fixture
def assets(api, finished):
    return api("GET", f"/jobs/{finished}/results").json()["assets"]


def test_the_files_have_the_sizes_and_checksums_that_are_given(assets):
    assert set(assets) == {"openEO.tif", "statistics.json", "quicklook.png"}
    for asset in assets.values():
        content = requests.get(asset["href"], timeout=10).content
        assert len(content) == asset["file:size"]
        assert "1220" + hashlib.sha256(content).hexdigest() == asset["file:checksum"]


def test_the_files_are_valid_and_lie_where_the_process_wanted(assets):
    contents = {name: requests.get(asset["href"], timeout=10).content for name, asset in assets.items()}
    assert json.loads(contents["statistics.json"])["count"] == 256
    _check_png(contents["quicklook.png"])
    tags = _read_tiff(contents["openEO.tif"])
    assert tags[256] == tags[257] == (16,)
    assert tags[33922] == (0, 0, 0, 4.2, 51.2, 0)
    assert tags[33550] == pytest.approx((0.2 / 16, 0.2 / 16, 0))
    assert tags[34735][-1] == 4326


def test_the_same_title_and_process_have_the_same_files(api, finished, assets, clock):
    again = api.create("NDVI 31UFS 2023 [oj-1a2b3c-4f-x9k2q]")
    api.start(again)
    clock.advance(111)
    others = api("GET", f"/jobs/{again}/results").json()["assets"]
    assert [asset["file:checksum"] for asset in others.values()] == [
        asset["file:checksum"] for asset in assets.values()
    ]


def test_the_document_is_a_stac_collection_with_a_canonical_link_that_needs_no_login(api, finished):
    document = api("GET", f"/jobs/{finished}/results").json()
    assert (document["type"], document["id"], document["openeo:status"]) == (
        "Collection",
        finished,
        "finished",
    )
    assert document["extent"]["spatial"]["bbox"] == [[4.2, 51.0, 4.4, 51.2]]
    assert document["extent"]["temporal"]["interval"] == [["2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]]
    (canonical,) = (link["href"] for link in document["links"] if link["rel"] == "canonical")
    assert requests.get(canonical, timeout=10).json() == document


@pytest.mark.parametrize("query", ["", "?signature=", "?signature=wrong"])
def test_a_file_without_its_signature_is_forbidden(api, finished, query):
    assert api("GET", f"/assets/{finished}/openEO.tif{query}").status_code == 403


def test_a_head_request_tells_the_size_and_that_ranges_work(assets):
    asset = assets["openEO.tif"]
    answer = requests.head(asset["href"], timeout=10)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == asset["file:size"]
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "image/tiff; application=geotiff"


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=1000-", slice(1000, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=1290-99999", slice(1290, None)),
    ],
)
def test_a_range_is_sent_as_partial_content(assets, header, part):
    href = assets["openEO.tif"]["href"]
    whole = requests.get(href, timeout=10).content
    answer = requests.get(href, headers={"Range": header}, timeout=10)
    assert answer.status_code == 206
    assert answer.content == whole[part]
    first, last = whole.index(whole[part]), whole.index(whole[part]) + len(whole[part]) - 1
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.parametrize("header", ["bytes=99999-", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(assets, header):
    asset = assets["openEO.tif"]
    answer = requests.get(asset["href"], headers={"Range": header}, timeout=10)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{asset['file:size']}"


@pytest.mark.parametrize(
    "headers",
    [{"Range": "bytes=5-2"}, {"Range": "lines=1-2"}, {"Range": "bytes=0-1", "If-Range": '"another version"'}],
)
def test_a_range_that_makes_no_sense_or_of_another_version_is_ignored(assets, headers):
    asset = assets["openEO.tif"]
    answer = requests.get(asset["href"], headers=headers, timeout=10)
    assert (answer.status_code, len(answer.content)) == (200, asset["file:size"])


@pytest.mark.parametrize(
    ("seconds", "code"), [(None, "JobNotStarted"), (0, "JobNotFinished"), (60, "JobNotFinished")]
)
def test_there_are_no_results_before_the_end(api, clock, seconds, code):
    batch_job_id = api.create()
    if seconds is not None:
        api.start(batch_job_id)
        clock.advance(seconds)
    answer = api("GET", f"/jobs/{batch_job_id}/results")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_partial_results_of_a_running_batch_job_are_given_when_asked_for(api, clock):
    batch_job_id = api.create()
    api.start(batch_job_id)
    clock.advance(60)
    document = api("GET", f"/jobs/{batch_job_id}/results?partial=true").json()
    assert document["openeo:status"] == "running"
    assert list(document["assets"]) == ["openEO.tif"]


def test_the_results_of_a_failed_batch_job_are_424_with_the_reason(api, clock):
    batch_job_id = api.create(process={"process_graph": {"evi": {"process_id": "evi_typo", "arguments": {}}}})
    api.start(batch_job_id)
    clock.advance(111)
    assert api.get_status(batch_job_id) == "error"
    answer = api("GET", f"/jobs/{batch_job_id}/results")
    assert answer.status_code == 424
    assert (answer.json()["level"], answer.json()["code"]) == ("error", "ProcessUnsupported")
    (entry,) = api("GET", f"/jobs/{batch_job_id}/logs?level=error").json()["logs"]
    assert "evi_typo" in entry["message"]


def test_logs_grow_with_the_batch_job_and_go_on_behind_an_offset(api, clock):
    batch_job_id = api.create()
    assert api("GET", f"/jobs/{batch_job_id}/logs").json()["logs"] == []
    api.start(batch_job_id)
    seen = api("GET", f"/jobs/{batch_job_id}/logs").json()["logs"]
    clock.advance(111)
    rest = api("GET", f"/jobs/{batch_job_id}/logs?offset={seen[-1]['id']}").json()["logs"]
    assert seen + rest == api("GET", f"/jobs/{batch_job_id}/logs").json()["logs"]
    assert len(rest) > 1


def test_logs_come_by_pages(api, finished):
    path, entries = f"/jobs/{finished}/logs?limit=1", []
    while path:
        page = api("GET", path).json()
        entries += page["logs"]
        path = next((link["href"] for link in page["links"]), None)
    assert entries == api("GET", f"/jobs/{finished}/logs").json()["logs"]


@pytest.mark.parametrize(("log_level", "count"), [("debug", 4), ("info", 3), ("error", 0)])
def test_logs_are_kept_from_the_level_that_the_body_asks_for(api, clock, log_level, count):
    batch_job_id = api.create(log_level=log_level)
    api.start(batch_job_id)
    clock.advance(111)
    assert len(api("GET", f"/jobs/{batch_job_id}/logs").json()["logs"]) == count


def _read_tiff(content):
    order, magic, directory_at = struct.unpack_from("<2sHI", content)
    assert (order, magic) == (b"II", 42)
    (count,) = struct.unpack_from("<H", content, directory_at)
    entries = [struct.unpack_from("<HHII", content, directory_at + 2 + 12 * i) for i in range(count)]
    assert [entry[0] for entry in entries] == sorted(entry[0] for entry in entries)
    return {
        tag: _read_value(content, directory_at + 10 + 12 * i, entries[i])
        for i, (tag, *_) in enumerate(entries)
    }


def _read_value(content, at, entry):
    _, kind, count, place = entry
    layout = f"<{count}{ {3: 'H', 4: 'I', 12: 'd'}[kind] }"
    return struct.unpack_from(layout, content, at if struct.calcsize(layout) <= 4 else place)


def _check_png(content):
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    at = 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        (crc,) = struct.unpack_from(">I", content, at + 8 + length)
        assert crc == zlib.crc32(content[at + 4 : at + 8 + length])
        at += 12 + length
