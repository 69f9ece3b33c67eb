"""One file on its way: whatever goes wrong, it is right under its name, or it is not there."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openeo.rest.auth.auth import BearerAuth

from openeo_jobs.assets import Offer
from openeo_jobs.backends.fetching import Terms
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendAnswerError, BackendError, BackendRefusedError, DownloadInterruptedError

pytest_plugins = ["scripted_backend"]

SIZE = 1_500_000
CONTENT = bytes(range(250)) * (SIZE // 250)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ROOM = 65536
"""What arrives ends with a whole piece of so many bytes."""


@pytest.fixture
def gateway(backend: Any, plain_connection: Any) -> OpenEOGateway:
    connection = plain_connection(backend.root, auth=BearerAuth("basic//secret"))
    return OpenEOGateway("a", lambda: connection, timeout_seconds=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


@pytest.fixture
def make_offer(backend: Any) -> Callable[..., Offer]:
    def make(**known: Any) -> Offer:
        return Offer(name="a.tif", filename="a.tif", url=backend.root + "/files/a.tif", **known)

    return make


@pytest.fixture
def serve(backend: Any, answer: Any) -> Callable[..., None]:
    """Serve CONTENT, in parts where that is asked for; what is asked without a range is cut off."""

    def serve(*, cut_at: int | None = None, etag: str = '"v1"', has_ranges: bool = True) -> None:
        def give(seen: Any) -> Any:
            headers = {"ETag": etag}
            asked = seen.headers.get("range")
            if asked is None or not has_ranges or seen.headers.get("if-range") != etag:
                return answer(body=CONTENT, cut_at=cut_at, headers=headers)
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            if begin >= SIZE:
                return answer(416, headers={"Content-Range": f"bytes */{SIZE}"})
            rest = {"Content-Range": f"bytes {begin}-{SIZE - 1}/{SIZE}"}
            return answer(206, body=CONTENT[begin:], headers=headers | rest)

        backend.on("GET", "/files/a.tif", give)

    return serve


def ranges(backend: Any) -> list[str | None]:
    return [seen.headers.get("range") for seen in backend.requests("GET", "/files/a.tif")]


class TestGoingOn:
    """What an earlier process has left is gone on with."""

    def test_from_where_it_was(self, gateway, backend, make_offer, serve, path):
        serve()
        part_of(path).write_bytes(CONTENT[:1_000_000])
        fetched = gateway.fetch(make_offer(), path, Terms(version='"v1"', size=SIZE))
        assert (fetched.size, fetched.checksum) == (SIZE, SHA256)
        assert path.read_bytes() == CONTENT
        assert ranges(backend) == ["bytes=1000000-"]
        assert not part_of(path).exists()

    def test_not_without_its_version(self, gateway, backend, make_offer, serve, path):
        serve()
        part_of(path).write_bytes(b"x" * 1_000_000)
        gateway.fetch(make_offer(), path, Terms())
        assert path.read_bytes() == CONTENT
        assert ranges(backend) == [None]

    @pytest.mark.parametrize("has_ranges", [True, False])
    def test_anew_where_the_file_is_another_by_now(
        self, gateway, backend, make_offer, serve, path, has_ranges
    ):
        serve(etag='"v2"', has_ranges=has_ranges)
        part_of(path).write_bytes(b"x" * 1_000_000)
        told = []
        terms = Terms(version='"v1"', size=1_200_000, begins=lambda *facts: told.append(facts))
        fetched = gateway.fetch(make_offer(), path, terms)
        assert (path.read_bytes() == CONTENT, fetched.size) == (True, SIZE)
        assert told == [('"v2"', SIZE)]

    def test_anew_where_the_server_sends_another_part_than_the_one_asked_for(
        self, gateway, backend, answer, make_offer, path
    ):
        wrong = {"Content-Range": f"bytes 5-{SIZE - 1}/{SIZE}", "ETag": '"v1"'}
        backend.on("GET", "/files/a.tif", answer(206, body=CONTENT[5:], headers=wrong), answer(body=CONTENT))
        part_of(path).write_bytes(CONTENT[:1_000_000])
        gateway.fetch(make_offer(), path, Terms(version='"v1"'))
        assert path.read_bytes() == CONTENT

    def test_anew_where_the_part_is_longer_than_the_file(self, gateway, backend, make_offer, serve, path):
        serve()
        part_of(path).write_bytes(CONTENT + b"more")
        gateway.fetch(make_offer(), path, Terms(version='"v1"'))
        assert path.read_bytes() == CONTENT
        assert ranges(backend) == [f"bytes={SIZE + 4}-", None]

    def test_nothing_is_asked_for_where_it_was_whole(self, gateway, backend, make_offer, serve, path):
        serve()
        part_of(path).write_bytes(CONTENT)
        fetched = gateway.fetch(make_offer(), path, Terms(version='"v1"', size=SIZE))
        assert fetched.checksum == SHA256
        assert ranges(backend) == []

    def test_a_part_with_wrong_bytes_is_found_out_and_thrown_away(
        self, gateway, backend, make_offer, serve, path
    ):
        serve()
        part_of(path).write_bytes(b"x" * 1_000_000)
        with pytest.raises(BackendAnswerError, match="was announced"):
            gateway.fetch(make_offer(checksum="1220" + SHA256), path, Terms(version='"v1"'))
        assert (path.exists(), part_of(path).exists()) == (False, False)

    def test_a_link_that_has_expired_leaves_the_part(self, gateway, backend, answer, make_offer, path):
        backend.on("GET", "/files/a.tif", answer(403, {"code": "Forbidden", "message": "expired"}))
        part_of(path).write_bytes(CONTENT[:1_000_000])
        with pytest.raises(BackendRefusedError):
            gateway.fetch(make_offer(), path, Terms(version='"v1"'))
        assert part_of(path).stat().st_size == 1_000_000


class TestLeavingOff:
    @pytest.mark.parametrize("cut_at", [0, 1, 65_535, 65_536, 700_000, SIZE - 1])
    def test_cut_off_at_any_byte_it_is_gone_on_with(self, gateway, make_offer, serve, path, cut_at):
        serve(cut_at=cut_at)
        if cut_at < ROOM:  # nothing has arrived that could be gone on with
            with pytest.raises(BackendAnswerError, match="cut short"):
                gateway.fetch(make_offer(), path, Terms())
            assert not path.exists()
            serve()
        gateway.fetch(make_offer(), path, Terms())
        assert path.read_bytes() == CONTENT

    def test_where_it_cannot_be_gone_on_with_nothing_is_left(self, gateway, make_offer, serve, path):
        serve(cut_at=700_000, etag='W/"v1"')
        with pytest.raises(BackendAnswerError, match="cut short"):
            gateway.fetch(make_offer(), path, Terms())
        assert list(path.parent.iterdir()) == []

    def test_a_run_that_is_told_to_stop_leaves_what_is_there(self, gateway, make_offer, serve, path):
        serve()
        pieces = iter([True, True, False])
        told: list[Any] = []
        terms = Terms(goes_on=lambda: next(pieces), begins=lambda *facts: told.append(facts))
        with pytest.raises(DownloadInterruptedError):
            gateway.fetch(make_offer(), path, terms)
        assert part_of(path).read_bytes() == CONTENT[: 3 * ROOM]
        assert told == [('"v1"', SIZE)]

    def test_what_could_not_be_gone_on_with_is_fetched_to_its_end(self, gateway, make_offer, serve, path):
        serve(etag='W/"v1"')
        gateway.fetch(make_offer(), path, Terms(goes_on=lambda: False))
        assert path.read_bytes() == CONTENT

    def test_the_part_is_empty_when_it_is_told_what_it_will_hold(self, gateway, make_offer, serve, path):
        serve(etag='"v2"')
        part_of(path).write_bytes(b"x" * 1_000_000)
        sizes = []
        terms = Terms(version='"v1"', begins=lambda *_: sizes.append(part_of(path).stat().st_size))
        gateway.fetch(make_offer(), path, terms)
        assert sizes == [0]

    def test_a_disk_that_is_full_leaves_no_file(self, gateway, make_offer, serve, path, monkeypatch):
        def fill_up(handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        serve()
        monkeypatch.setattr("openeo_jobs.backends.parts.os.fsync", fill_up)
        with pytest.raises(OSError, match="No space left"):
            gateway.fetch(make_offer(), path, Terms())
        assert not path.exists()


@pytest.mark.parametrize("size", [SIZE - 1, 10])
def test_more_than_was_announced_ends_it_at_once(gateway, make_offer, serve, path, size):
    serve()
    with pytest.raises(BackendAnswerError, match=f"but {size} were announced"):
        gateway.fetch(make_offer(size=size), path, Terms())
    assert list(path.parent.iterdir()) == []


def test_a_file_that_may_be_of_an_earlier_run_does_not_stay(gateway, backend, make_offer, serve, path):
    serve()
    path.write_bytes(b"x" * SIZE)
    gateway.fetch(make_offer(size=SIZE), path, Terms(keeps=False))
    assert path.read_bytes() == CONTENT


def test_no_error_of_a_link_shows_its_signature(gateway, backend, answer, path):
    offer = Offer(name="a", filename="a", url=backend.root + "/files/b.tif?sig=s3cret")
    with pytest.raises(BackendError) as raised:
        gateway.fetch(offer, path, Terms())
    assert "s3cret" not in str(raised.value) + repr(offer)
