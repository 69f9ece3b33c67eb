"""Files that arrive broken or late, behind links that expire, or on a server that knows little."""

import time

import pytest
import requests

from openeo_jobs.simulator import Deviations, Fault, Files

FILE = "GET /assets/{job_id}/{name}"


@pytest.fixture
def finish(open_backend, open_api, clock):
    """Run a batch job to its end; return the client and the assets of its results."""

    def finish_it(**kwargs):
        api = open_api(open_backend(**kwargs))
        batch_job_id = api.create()
        api.start(batch_job_id)
        clock.advance(1000)
        return api, batch_job_id, api("GET", f"/jobs/{batch_job_id}/results").json()["assets"]

    return finish_it


def _fault(kind, **kwargs):
    return {"faults": [Fault(endpoint=FILE, kind=kind, **kwargs)]}


def test_a_truncated_file_ends_before_its_length(finish):
    api, _, assets = finish(**_fault("truncate"))
    asset = assets["openEO.tif"]
    with requests.get(asset["href"], stream=True, timeout=10) as answer:
        assert int(answer.headers["Content-Length"]) == asset["file:size"]
        received = b""
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            for chunk in answer.iter_content(1):
                received += chunk
    assert len(received) == asset["file:size"] // 2
    (request,) = api.backend.requests(path="^/assets/")
    assert (request.status, request.fault) == (200, "truncate")


def test_a_shortened_file_is_whole_and_too_short(finish):
    _, _, assets = finish(**_fault("shorten"))
    asset = assets["openEO.tif"]
    answer = requests.get(asset["href"], timeout=10)
    assert len(answer.content) == int(answer.headers["Content-Length"]) == asset["file:size"] // 2


def test_a_corrupt_file_has_the_right_length_and_other_bytes(finish):
    _, _, right = finish()
    _, _, wrong = finish(**_fault("corrupt"))
    whole, corrupt = (
        requests.get(one["quicklook.png"]["href"], timeout=10).content for one in (right, wrong)
    )
    assert len(corrupt) == len(whole)
    assert corrupt != whole
    assert whole.startswith(b"\x89PNG")


def test_a_file_that_trickles_takes_its_time_and_is_whole(finish):
    _, _, right = finish()
    _, _, slow = finish(**_fault("trickle", seconds=(0.08, 0.09)))
    began = time.perf_counter()
    content = requests.get(slow["openEO.tif"]["href"], timeout=10).content
    assert time.perf_counter() - began >= 0.08
    assert content == requests.get(right["openEO.tif"]["href"], timeout=10).content


@pytest.mark.parametrize("kind", ["truncate", "shorten", "corrupt", "trickle"])
def test_an_answer_that_is_an_error_stays_as_it_is(open_backend, kind):
    backend = open_backend(faults=[Fault(endpoint="GET /jobs", kind=kind)])
    answer = requests.get(f"{backend.url}/jobs", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "AuthenticationRequired")
    (request,) = backend.requests()
    assert (request.status, request.fault) == (401, None)


def test_a_link_expires_and_the_results_have_a_new_one(finish, clock):
    api, batch_job_id, assets = finish(deviations=Deviations(files=Files(link_seconds=60)))
    href = assets["openEO.tif"]["href"]
    clock.advance(59)
    assert requests.get(href, timeout=10).status_code == 200
    clock.advance(1)
    assert requests.get(href, timeout=10).status_code == 403
    forged = href.replace("until=", "until=9")
    assert requests.get(forged, timeout=10).status_code == 403
    again = api("GET", f"/jobs/{batch_job_id}/results").json()["assets"]["openEO.tif"]["href"]
    assert requests.get(again, timeout=10).status_code == 200


def test_a_plain_file_server_knows_neither_ranges_nor_head(finish):
    _, _, assets = finish(deviations=Deviations(files=Files(has_ranges=False, has_head=False)))
    asset = assets["openEO.tif"]
    part = requests.get(asset["href"], headers={"Range": "bytes=5-"}, timeout=10)
    assert (part.status_code, len(part.content)) == (200, asset["file:size"])
    assert "Accept-Ranges" not in part.headers
    assert requests.head(asset["href"], timeout=10).status_code == 405


def test_by_default_a_file_answers_head(finish):
    _, _, assets = finish()
    assert requests.head(assets["openEO.tif"]["href"], timeout=10).status_code == 200


def test_files_on_another_host_are_read_by_their_signature(finish):
    api, _, assets = finish(deviations=Deviations(files=Files(host="localhost")))
    href = assets["openEO.tif"]["href"]
    assert href.startswith(f"http://localhost:{api.url.rpartition(':')[2]}/assets/")
    assert requests.get(href, timeout=10).status_code == 200


def test_files_without_a_signature_want_a_login(finish):
    api, _, assets = finish(deviations=Deviations(files=Files(is_signed=False)))
    href = assets["openEO.tif"]["href"]
    assert "?" not in href
    assert requests.get(href, timeout=10).status_code == 401
    assert api("GET", href).status_code == 200
