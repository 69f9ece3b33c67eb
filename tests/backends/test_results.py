"""Downloads: whole files under their final names, or none."""

from __future__ import annotations

import hashlib
import json

import pytest
from openeo.rest.auth.auth import BearerAuth

from downloading import download
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendAnswerError, BackendError

pytest_plugins = ["scripted_backend"]

CONTENT = b"GeoTIFF " * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def gateway(backend, plain_connection):
    connection = plain_connection(backend.root, auth=BearerAuth("basic//secret"))
    return OpenEOGateway("a", lambda: connection, timeout_seconds=5)


@pytest.fixture
def offer(backend, answer):
    """Offer assets: key -> members of the asset; all are served at /files/a.tif unless they say otherwise."""

    def offer(assets, **document):
        described = {
            key: {"href": backend.root + "/files/a.tif", "type": "image/tiff", **asset}
            for key, asset in assets.items()
        }
        backend.on("GET", "/jobs/j-1/results", answer(json={"id": "j-1", "assets": described, **document}))

    backend.on("GET", "/files/a.tif", answer(body=CONTENT))
    return offer


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_assets_and_the_document_are_written(gateway, offer, tmp_path):
    offer({"a.tif": {}})
    [asset] = download(gateway, "j-1", tmp_path / "job_j-1")
    assert (asset.name, asset.size, asset.media_type, asset.checksum) == (
        "a.tif",
        8000,
        "image/tiff",
        SHA256,
    )
    assert asset.path == tmp_path / "job_j-1" / "a.tif"
    assert asset.path.read_bytes() == CONTENT
    assert files(tmp_path / "job_j-1") == ["a.tif", "job-results.json"]


def test_no_assets_are_no_failure(gateway, offer, tmp_path):
    offer({})
    assert download(gateway, "j-1", tmp_path) == []
    assert files(tmp_path) == ["job-results.json"]


@pytest.mark.parametrize("assets", [None, [], {"a": None}, {"a": {}}, {"a": {"href": None}}])
def test_a_document_that_is_none_is_no_answer(gateway, backend, answer, tmp_path, assets):
    backend.on("GET", "/jobs/j-1/results", answer(json={"assets": assets}))
    with pytest.raises(BackendAnswerError):
        download(gateway, "j-1", tmp_path)
    assert files(tmp_path) == []


def test_signed_queries_are_not_stored(gateway, backend, answer, offer, tmp_path):
    signed = backend.root + "/files/a.tif?signature=s3cret"
    offer({"a.tif": {"href": signed, "alternate": {"s3": {"href": signed}}}}, links=[{"href": signed}])
    download(gateway, "j-1", tmp_path)
    text = (tmp_path / "job-results.json").read_text()
    assert "s3cret" not in text
    assert json.loads(text)["assets"]["a.tif"]["href"] == "./a.tif"
    assert backend.seen[-1].query == {"signature": "s3cret"}


def test_relative_links_start_at_the_results(gateway, backend, answer, offer, tmp_path):
    backend.on("GET", "/jobs/j-1/files/b.tif", answer(body=b"b"))
    offer({"b.tif": {"href": "files/b.tif"}})
    [asset] = download(gateway, "j-1", tmp_path)
    assert asset.path.read_bytes() == b"b"


class TestWholeness:
    @pytest.mark.parametrize(
        "known",
        [
            {"file:size": 7999},
            {"file:checksum": "1220" + "0" * 64},
            {"file:checksum": "1340" + "0" * 128},
            {"checksum:multihash": "d50110" + "0" * 32},
        ],
    )
    def test_a_file_that_is_not_as_announced_never_gets_its_name(self, gateway, offer, tmp_path, known):
        offer({"a.tif": known})
        with pytest.raises(BackendAnswerError, match=r"is not whole.*announced"):
            download(gateway, "j-1", tmp_path)
        assert files(tmp_path) == []

    @pytest.mark.parametrize(
        "known",
        [
            {"file:size": "8000"},
            {"file:checksum": "1220" + SHA256.upper()},
            {"file:checksum": "1114" + hashlib.sha1(CONTENT).hexdigest()},
            {"file:checksum": "9999unknown", "file:size": None},
        ],
    )
    def test_a_file_that_is_as_announced_does(self, gateway, offer, tmp_path, known):
        offer({"a.tif": known})
        [asset] = download(gateway, "j-1", tmp_path)
        assert asset.checksum == SHA256

    def test_a_file_that_is_cut_short_never_gets_its_name(self, gateway, backend, answer, offer, tmp_path):
        offer({"a.tif": {}})
        backend.on("GET", "/files/a.tif", answer(body=CONTENT, cut_at=5000))
        with pytest.raises(BackendAnswerError, match="cut short"):
            download(gateway, "j-1", tmp_path)
        assert files(tmp_path) == []

    def test_a_file_of_unknown_length_that_is_cut_short_is_found_out(
        self, gateway, backend, answer, offer, tmp_path
    ):
        offer({"a.tif": {"file:size": 8000}})
        backend.on("GET", "/files/a.tif", answer(body=CONTENT[:5000]))
        with pytest.raises(BackendAnswerError, match="5000 bytes, but 8000 were announced"):
            download(gateway, "j-1", tmp_path)

    def test_the_document_is_not_written_unless_all_is_there(self, gateway, offer, tmp_path):
        offer({"a.tif": {}, "b.tif": {"file:size": 1}})
        with pytest.raises(BackendAnswerError):
            download(gateway, "j-1", tmp_path)
        assert files(tmp_path) == ["a.tif"]

    @pytest.mark.parametrize("status", [403, 503])
    def test_an_error_page_is_no_asset(self, gateway, backend, answer, offer, tmp_path, status):
        offer({"a.tif": {}})
        backend.on("GET", "/files/a.tif", answer(status, body=b"<html>no</html>"))
        with pytest.raises(BackendAnswerError) as raised:
            download(gateway, "j-1", tmp_path)
        assert raised.value.http_status == status
        assert files(tmp_path) == []

    @pytest.mark.parametrize("href", ["file:///etc/passwd", "ftp://x/a.tif", "gopher://x/a", "data:,x"])
    def test_only_http_is_fetched(self, gateway, offer, tmp_path, href):
        offer({"a.tif": {"href": href}})
        with pytest.raises(BackendAnswerError, match="cannot be fetched"):
            download(gateway, "j-1", tmp_path)


class TestAgain:
    @pytest.mark.parametrize("known", [{"file:size": 8000}, {"file:checksum": "1220" + SHA256}])
    def test_what_is_there_as_announced_is_not_asked_for(self, gateway, backend, offer, tmp_path, known):
        offer({"a.tif": known})
        first = download(gateway, "j-1", tmp_path)
        assert download(gateway, "j-1", tmp_path) == first
        assert len(backend.requests("GET", "/files/a.tif")) == 1

    def test_where_nothing_is_announced_it_is_fetched_anew(self, gateway, backend, offer, tmp_path):
        offer({"a.tif": {}})
        (tmp_path / "a.tif").write_bytes(b"x" * 8000)
        download(gateway, "j-1", tmp_path)
        assert (tmp_path / "a.tif").read_bytes() == CONTENT

    @pytest.mark.parametrize("old", [b"short", b"x" * 8000])
    def test_what_is_there_and_wrong_is_replaced(self, gateway, offer, tmp_path, old):
        (tmp_path / "a.tif").write_bytes(old)
        (tmp_path / "a.tif.part").write_bytes(b"rest of a crash")
        offer({"a.tif": {"file:size": 8000, "file:checksum": "1220" + SHA256}})
        download(gateway, "j-1", tmp_path)
        assert (tmp_path / "a.tif").read_bytes() == CONTENT
        assert files(tmp_path) == ["a.tif", "job-results.json"]


class TestBearer:
    def test_goes_to_the_backend(self, gateway, backend, offer, tmp_path):
        offer({"a.tif": {}})
        download(gateway, "j-1", tmp_path)
        assert backend.seen[-1].headers["authorization"] == "Bearer basic//secret"

    def test_goes_to_no_other_host(self, gateway, other_backend, answer, offer, tmp_path):
        other_backend.on("GET", "/x.tif", answer(body=CONTENT))
        offer({"a.tif": {"href": other_backend.root + "/x.tif"}})
        download(gateway, "j-1", tmp_path)
        assert "authorization" not in other_backend.seen[-1].headers

    def test_does_not_go_along_with_a_signature(self, gateway, backend, answer, offer, tmp_path):
        backend.script["GET", "/files/a.tif"] = [answer(body=CONTENT)]
        offer({"a.tif": {"href": backend.url + "/files/a.tif?sig=1"}})
        download(gateway, "j-1", tmp_path)
        assert "authorization" not in backend.seen[-1].headers


class TestNames:
    def test_names_that_lead_out_of_the_folder_stay_in_it(self, gateway, offer, tmp_path):
        folder = tmp_path / "job"
        offer({"../../evil.tif": {}, "/etc/x.tif": {}, "..": {}, "C:\\x.tif": {}, "a/../b": {}})
        assets = download(gateway, "j-1", folder)
        assert all(asset.path.parent == folder and asset.path.is_file() for asset in assets)
        assert files(tmp_path) == ["job"]
        assert len(files(folder)) == 6

    def test_no_asset_takes_the_place_of_our_own_files(self, gateway, offer, tmp_path):
        offer({"job-results.json": {}, "JOB_j-1.json": {}})
        names = {asset.path.name for asset in download(gateway, "j-1", tmp_path)}
        assert names == {"job-results-2.json", "JOB_j-1-2.json"}
        assert json.loads((tmp_path / "job-results.json").read_text())["id"] == "j-1"


class TestContinuing:
    long = bytes(range(250)) * 1000

    def serve(self, backend, answer, *, etag='"v1"', now='"v1"', cut_at=200_000):
        """Cut the first answer; give the rest where the version is still the one that was asked for."""

        def give(seen):
            if "range" not in seen.headers:
                return answer(body=self.long, cut_at=cut_at, headers={"ETag": etag})
            if seen.headers["if-range"] != now:
                return answer(body=b"new" * 3000)
            begin = int(seen.headers["range"].removeprefix("bytes=").removesuffix("-"))
            headers = {"Content-Range": f"bytes {begin}-249999/250000"}
            return answer(206, body=self.long[begin:], headers=headers)

        backend.on("GET", "/files/a.tif", give)

    def test_what_was_cut_off_is_continued(self, gateway, backend, answer, offer, tmp_path):
        offer({"a.tif": {}})
        self.serve(backend, answer)
        [asset] = download(gateway, "j-1", tmp_path)
        assert asset.path.read_bytes() == self.long
        assert asset.checksum == hashlib.sha256(self.long).hexdigest()
        ranges = [seen.headers.get("range") for seen in backend.requests("GET", "/files/a.tif")]
        assert ranges == [None, "bytes=196608-"]

    def test_another_version_is_not_mixed_in(self, gateway, backend, answer, offer, tmp_path):
        offer({"a.tif": {}})
        self.serve(backend, answer, etag='"v0"')
        download(gateway, "j-1", tmp_path)
        assert (tmp_path / "a.tif").read_bytes() == b"new" * 3000

    def test_what_has_no_version_is_not_continued(self, gateway, backend, answer, offer, tmp_path):
        offer({"a.tif": {}})
        self.serve(backend, answer, etag='W/"v1"')
        with pytest.raises(BackendAnswerError, match="cut short"):
            download(gateway, "j-1", tmp_path)
        assert files(tmp_path) == []

    def test_it_ends_when_nothing_more_arrives(self, gateway, backend, answer, offer, tmp_path):
        offer({"a.tif": {}})
        self.serve(backend, answer, cut_at=0)
        with pytest.raises(BackendAnswerError, match="cut short"):
            download(gateway, "j-1", tmp_path)


@pytest.mark.parametrize("href", ["https://[", "//[", "http://x:port/a", "http:///a"])
def test_a_malformed_link_is_an_error_of_the_backend(gateway, offer, tmp_path, href):
    offer({"a.tif": {"href": href}}, links=[{"href": href}])
    with pytest.raises(BackendError):
        download(gateway, "j-1", tmp_path)
