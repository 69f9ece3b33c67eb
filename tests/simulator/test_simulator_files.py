"""Results with more and bigger files, which are computed on their way."""

import hashlib
import time

import pytest
import requests

from openeo_jobs.simulator import Deviations, Files

SIZE = 3_000_000


@pytest.fixture
def finish(open_backend, open_api, clock):
    """Run a batch job to its end; return the simulator and the assets of its results."""

    def finish_it(**files):
        api = open_api(open_backend(deviations=Deviations(files=Files(**files))))
        batch_job_id = api.create()
        api.start(batch_job_id)
        clock.advance(1000)
        return api.backend, api("GET", f"/jobs/{batch_job_id}/results").json()["assets"]

    return finish_it


def get(asset, **kwargs):
    return requests.get(asset["href"], timeout=10, **kwargs)


def wait_for_end(backend, path):
    deadline = time.monotonic() + 10
    while True:
        *_, request = backend.requests(path=path)
        if request.until_at is not None or time.monotonic() > deadline:
            return request
        time.sleep(0.01)


def test_there_are_as_many_more_as_wanted_and_each_is_another(finish):
    _, assets = finish(more=(3, SIZE))
    more = [asset for name, asset in assets.items() if name.startswith("more-")]
    contents = [get(asset).content for asset in more]
    assert [len(content) for content in contents] == [SIZE] * 3
    assert [asset["file:size"] for asset in more] == [SIZE] * 3
    sums = ["1220" + hashlib.sha256(content).hexdigest() for content in contents]
    assert [asset["file:checksum"] for asset in more] == sums
    assert len(set(sums)) == 3


def test_what_is_not_announced_is_right_all_the_same(finish):
    _, announced = finish(more=(1, SIZE))
    _, assets = finish(more=(1, SIZE), has_sizes=False, has_checksums=False)
    assert not {"file:size", "file:checksum"} & {key for asset in assets.values() for key in asset}
    content = get(assets["more-00001.bin"]).content
    assert "1220" + hashlib.sha256(content).hexdigest() == announced["more-00001.bin"]["file:checksum"]


@pytest.mark.parametrize("wanted", [(0, 0), (65_535, 70_000), (999_999, 2_100_000), (SIZE - 1, SIZE + 5)])
def test_any_range_is_that_of_the_whole_file(finish, wanted):
    _, assets = finish(more=(1, SIZE))
    asset = assets["more-00001.bin"]
    whole = get(asset)
    headers = {"Range": f"bytes={wanted[0]}-{wanted[1]}", "If-Range": whole.headers["ETag"]}
    part = get(asset, headers=headers)
    assert (part.status_code, part.headers["ETag"]) == (206, whole.headers["ETag"])
    assert part.content == whole.content[wanted[0] : wanted[1] + 1]
    assert get(asset, headers={**headers, "If-Range": '"another"'}).status_code == 200
    beyond = get(asset, headers={"Range": f"bytes={SIZE}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


def test_no_file_is_sent_faster_than_it_may_be(finish):
    _, assets = finish(more=(1, 200_000), bytes_per_second=1e6)
    began = time.perf_counter()
    get(assets["more-00001.bin"])
    assert time.perf_counter() - began >= 0.2


def test_the_log_says_how_much_of_a_file_has_left(finish):
    backend, assets = finish(more=(1, SIZE), bytes_per_second=2e6)
    asset = assets["more-00001.bin"]
    with requests.get(asset["href"], stream=True, timeout=10) as answer:
        answer.raw.read(300_000)
    cut = wait_for_end(backend, "^/assets/")
    assert 300_000 <= cut.sent < 600_000
    get(asset, headers={"Range": "bytes=2900000-"})
    whole = wait_for_end(backend, "^/assets/")
    assert (whole.status, whole.sent) == (206, 100_000)
