"""Two processes that fetch the same file, as one was wrongly taken for dead: neither spoils the other's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openeo_jobs.assets import Offer
from openeo_jobs.backends.fetching import Terms
from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import DownloadInterruptedError

pytest_plugins = ["scripted_backend"]

SIZE = 2_000_000
CONTENTS = {version: bytes([ord(version)]) * SIZE for version in "ab"}
KNOWN = Terms(version='"a"', size=SIZE)


@pytest.fixture
def gateway(backend: Any, plain_connection: Any) -> OpenEOGateway:
    connection = plain_connection(backend.root)
    return OpenEOGateway("a", lambda: connection, timeout_seconds=5)


@pytest.fixture
def offer(backend: Any) -> Offer:
    return Offer(name="x.tif", filename="x.tif", url=backend.root + "/x.tif")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.tif"


@pytest.fixture
def serve(backend: Any, answer: Any) -> Callable[[str], None]:
    """Serve one version, in parts where that is asked for."""

    def serve(version: str) -> None:
        def give(seen: Any) -> Any:
            headers, content = {"ETag": f'"{version}"'}, CONTENTS[version]
            if seen.headers.get("if-range") != headers["ETag"]:
                return answer(body=content, headers=headers)
            begin = int(seen.headers["range"].removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {begin}-{SIZE - 1}/{SIZE}"
            return answer(206, body=content[begin:], headers=headers)

        backend.on("GET", "/x.tif", give)

    return serve


@contextmanager
def stale_writer(
    gateway: OpenEOGateway, offer: Offer, path: Path, **terms: Any
) -> Iterator[Callable[[], Any]]:
    """Fetch in a thread, up to the tenth piece; what is yielded lets it go on to its end."""
    pieces, is_there, may_go_on = iter(range(10**6)), threading.Event(), threading.Event()

    def goes_on() -> bool:
        if next(pieces) == 9:
            is_there.set()
            assert may_go_on.wait(20)
        return True

    def finish() -> Any:
        may_go_on.set()
        return future.result(20)

    with ThreadPoolExecutor(1) as thread:
        future: Future[Any] = thread.submit(gateway.fetch, offer, path, Terms(goes_on=goes_on, **terms))
        assert is_there.wait(20)
        try:
            yield finish
        finally:
            may_go_on.set()


@pytest.mark.parametrize("new", ["a", "b"])
@pytest.mark.parametrize("terms", [Terms(), KNOWN])
def test_the_new_owner_gets_its_file_whatever_the_stale_one_writes(gateway, offer, path, serve, new, terms):
    serve("a")
    with stale_writer(gateway, offer, path) as finish:
        serve(new)
        gateway.fetch(offer, path, terms)
        assert path.read_bytes() == CONTENTS[new]
        finish()
    assert path.read_bytes() in CONTENTS.values()
    assert list(path.parent.iterdir()) == [path]


def test_both_write_at_the_same_time_and_no_wrong_file_ever_has_the_name(gateway, offer, path, serve):
    serve("a")
    with stale_writer(gateway, offer, path) as finish:
        serve("b")
        with stale_writer(gateway, offer, path, version='"a"', size=SIZE) as finish_new:
            finish()
            assert path.read_bytes() == CONTENTS["a"]
            finish_new()
            assert path.read_bytes() == CONTENTS["b"]
    assert list(path.parent.iterdir()) == [path]


def test_a_stale_one_does_not_put_its_file_in_the_place_of_the_new_owners(gateway, offer, path, serve):
    def ends() -> None:
        raise DownloadInterruptedError("not ours any more")

    serve("a")
    with stale_writer(gateway, offer, path, ends=ends) as finish:
        serve("b")
        gateway.fetch(offer, path, KNOWN)
        with pytest.raises(DownloadInterruptedError):
            finish()
    assert path.read_bytes() == CONTENTS["b"]


def test_nobody_removes_what_another_one_writes(gateway, offer, path, serve):
    serve("a")
    with stale_writer(gateway, offer, path) as finish:
        path.write_bytes(CONTENTS["a"])
        part = path.with_name("x.tif.part")
        gateway.fetch(Offer(name="x.tif", filename="x.tif", url=offer.url, size=SIZE), path, Terms())
        assert part.exists()
        finish()
    assert list(path.parent.iterdir()) == [path]


def test_a_spare_part_tells_nothing_of_the_one_that_is_gone_on_with(gateway, offer, path, serve):
    told: list[Any] = []
    serve("a")
    with stale_writer(gateway, offer, path):
        serve("b")
        gateway.fetch(offer, path, Terms(version='"a"', begins=lambda *facts: told.append(facts)))
    assert told == []
