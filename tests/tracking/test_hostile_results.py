"""A backend whose results document wants to do harm: nothing leaves the folder, and nobody dies of it."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bench import Bench
from openeo.rest.auth.auth import BearerAuth

from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendAnswerError
from openeo_jobs.jobs import ResultsStatus

pytest_plugins = ["backends.scripted_backend"]

CONTENT = b"GeoTIFF " * 1000
SECRET = "basic//s3cret"
FOLDER = "job_north-1"
OURS = {"job-results.json", "job_north-1.json"}

NAMES = [
    *("..", ".", "", "/", "../../evil.tif", "/etc/evil.tif", "a/../../evil.tif", "..\\..\\evil.tif"),
    *("C:\\evil.tif", "C:evil.tif", "\\\\host\\share\\evil.tif", "~/evil.tif", "$HOME/evil.tif"),
    *("CON", "nul", "con.tif", "LPT1.txt", "aux.", "COM¹.tif", "a.tif:stream", "a.tif ", "a.tif.", " a.tif"),
    *("x" * 5000, "x" * 5000 + ".tif", "é" * 200 + ".tif", "é" * 201 + ".tif"),
    *("é.tif", "e\u0301.tif", "É.tif", "A.tif", "a.tif", "a.TIF", "ß.tif", "SS.tif", "ﬁ.tif", "fi.tif"),
    *("a\x00b.tif", "a\nb.tif", "a\x1b[31mb.tif", "a\u202eb.tif", "a\ud800b.tif", "\udfff", "😀.tif"),
    *("job-results.json", "JOB-RESULTS.JSON", "job_north-1.json", "a.tif.part", ".job-results.json.1.part"),
    *("-rf", "--help.tif", "*.tif", "%2e%2e%2fevil.tif", "..;/evil.tif", "None", "constructor", "__proto__"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the campaign, in one where nothing else may appear."""
    (tmp_path / "campaign").mkdir()
    return tmp_path / "campaign"


@pytest.fixture
def bench(folder: Path, backend: Any, answer: Any, plain_connection: Any) -> Bench:
    """A run whose results come from a scripted backend, by the real gateway."""
    bench = Bench(folder)
    bench.round()
    bench.gateway.batch_jobs["north-1"].status = "finished"
    connection = plain_connection(backend.root, auth=BearerAuth(SECRET))
    real = OpenEOGateway("north", lambda: connection, timeout_seconds=5)
    bench.gateway.get_results = real.get_results  # type: ignore[method-assign]
    bench.gateway.fetch = real.fetch  # type: ignore[method-assign]
    backend.on("GET", "/files/a.tif", answer(body=CONTENT))
    return bench


@pytest.fixture
def offer(backend: Any, answer: Any) -> Callable[..., None]:
    """Let the results be these assets: by name, members beside a href that works."""

    def offer(assets: Any, **document: Any) -> None:
        if isinstance(assets, dict):
            href = {"href": backend.root + "/files/a.tif"}
            assets = {
                name: href | asset if isinstance(asset, dict) else asset for name, asset in assets.items()
            }
        backend.on("GET", "/jobs/north-1/results", answer(json={"assets": assets, **document}))

    return offer


def view(bench: Bench, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(bench.store.path)) as connection:
        return connection.execute(sql).fetchall()


def try_to_the_end(bench: Bench) -> ResultsStatus | None:
    for _ in range(6):
        bench.round(10_000)
        if bench.job().results_status in (ResultsStatus.DOWNLOADED, ResultsStatus.FAILED):
            break
    return bench.job().results_status


def reasons(bench: Bench) -> list[str]:
    """Return what users read of a row and its files."""
    rows = view(bench, "SELECT results_error FROM job UNION ALL SELECT error FROM assets")
    return [text for (text,) in rows if text is not None]


def test_whatever_they_are_called_all_files_are_in_the_folder_and_none_is_anothers(
    bench: Bench, offer: Any, folder: Path
) -> None:
    offer({name: {} for name in NAMES})
    assert try_to_the_end(bench) is ResultsStatus.DOWNLOADED
    assert [one.name for one in folder.parent.iterdir() if one.is_dir()] == ["campaign"]
    assert [one.name for one in folder.iterdir() if one.is_dir()] == [FOLDER]
    found = {one.name for one in (folder / FOLDER).iterdir()}
    files = found - OURS
    assert len(files) == len(set(NAMES))
    assert all((folder / FOLDER / name).read_bytes() == CONTENT for name in files)
    assert len({unicodedata.normalize("NFC", name.casefold()) for name in found}) == len(found)
    assert max(len(name.encode()) for name in files) <= 200
    assert {name for name in files if not name.isprintable() or name[-1] in ". "} == set()
    document = json.loads((folder / FOLDER / "job-results.json").read_text())
    assert {asset["href"] for asset in document["assets"].values()} == {f"./{name}" for name in files}


LINKS = [
        *("file:///etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1/a.tif", "javascript:alert(1)"),
        *("data:,x", "//[", "https://[", "http://x:port/a", "http://127.0.0.1:99999/a"),
        *("http:///a.tif", "http://", "http:a.tif", "\ud800", "http://\ud800/a", "http://a\x00b/a"),
        *("http://../a", "http://user:s3cret@[/a", "../" * 50 + "a", "../" * 5000 + "a", "x" * 50_000),
        *("http://" + "x" * 5000 + "/a", "http://" + "x." * 5000 + "/a"),
        *("http://127.0.0.1:1/a.tif?sig=s3cret", "http://user:s3cret@127.0.0.1:1/a.tif", "http://\n/a"),
        *("\x00", "", "http://127.0.0.1:-1/a"),
]  # fmt: skip


def find_refusal(bench: Bench, offer: Any, href: str) -> str | None:
    """Return why a document with this link is refused as a whole; None if only its file can fail."""
    offer({"a.tif": {"href": href}})
    try:
        bench.gateway.get_results("north-1")
    except BackendAnswerError as error:
        return str(error)
    return None


def test_links_that_lead_nowhere_are_clear_failures(bench: Bench, offer: Any, folder: Path) -> None:
    refusals = {href: find_refusal(bench, offer, href) for href in LINKS}
    refused = [text for text in refusals.values() if text is not None]
    links = [href for href, text in refusals.items() if text is None]
    assert (len(refused), len(links)) == (3, 25)
    assert [text for text in refused if len(text) > 700 or "s3cret" in text] == []

    offer({f"{number}.tif": {"href": href} for number, href in enumerate(links)} | {"a.tif": {}})
    assert try_to_the_end(bench) is ResultsStatus.FAILED
    told = dict(view(bench, "SELECT name, error FROM assets"))
    assert told.pop("a.tif") is None
    assert set(told) == {f"{number}.tif" for number in range(len(links))}
    told["its row"] = view(bench, "SELECT results_error FROM job")[0][0]
    assert {
        name: text for name, text in told.items() if not text or len(text) > 700 or "s3cret" in text
    } == {}
    assert {one.name for one in (folder / FOLDER).glob("*.tif")} == {"a.tif"}


@pytest.mark.parametrize("where", ["", "//", "http://user:pw@", "HTTP://"])
def test_no_login_goes_to_another_host(
    bench: Bench, offer: Any, other_backend: Any, answer: Any, where: str
) -> None:
    other_backend.on("GET", "/a.tif", answer(body=CONTENT))
    url = other_backend.root + "/a.tif"
    offer({"a.tif": {"href": where + url.removeprefix("http://") if where else url}})
    assert try_to_the_end(bench) is ResultsStatus.DOWNLOADED
    (seen,) = other_backend.seen
    assert SECRET not in str(seen.headers)


def test_no_login_follows_a_redirect_to_another_host(
    bench: Bench, offer: Any, backend: Any, other_backend: Any, answer: Any
) -> None:
    other_backend.on("GET", "/a.tif", answer(body=CONTENT))
    backend.on("GET", "/files/a.tif", answer(302, headers={"Location": other_backend.root + "/a.tif"}))
    offer({"a.tif": {}})
    assert try_to_the_end(bench) is ResultsStatus.DOWNLOADED
    assert SECRET in str(backend.requests("GET", "/files/a.tif")[0].headers)
    assert SECRET not in str(other_backend.seen[0].headers)


def test_a_size_that_makes_no_sense_is_none(bench: Bench, offer: Any, folder: Path) -> None:
    sizes = [-1, 10**30, 8000.5, float("nan"), float("inf"), "many", "-1", "8" * 5000, True, None, [], {}]
    offer({f"{number}.tif": {"file:size": size} for number, size in enumerate(sizes)})
    assert try_to_the_end(bench) is ResultsStatus.DOWNLOADED
    found = [one.read_bytes() for one in (folder / FOLDER).glob("*.tif")]
    assert found == [CONTENT] * len(sizes)


@pytest.mark.parametrize(
    "members",
    [
        {"type": 5, "title": [], "roles": "x", "file:checksum": 7},
        {"type": "\ud800", "file:checksum": "\ud800"},
        {"type": "x" * 10**6, "file:checksum": "1220" + "g" * 64},
        {"file:checksum": "1220", "checksum:multihash": []},
        {"file:checksum": "", "alternate": 5, "\ud800": "\ud800"},
    ],
)
def test_members_of_the_wrong_kind_do_no_harm(bench: Bench, offer: Any, members: Any) -> None:
    offer({"a.tif": members}, links=7, properties=[], expires=5, title={}, type="Feature", collection=5)
    status = try_to_the_end(bench)
    says_checksum = "g" in str(members.get("file:checksum"))
    assert status is (ResultsStatus.FAILED if says_checksum else ResultsStatus.DOWNLOADED)


@pytest.mark.parametrize(
    "assets", [None, 5, "x", [], [{"href": "x"}], {"a\ud800": None}, {"a": []}, {"a": {"href": {}}}]
)
def test_assets_of_the_wrong_kind_are_a_clear_failure(bench: Bench, offer: Any, assets: Any) -> None:
    offer(assets)
    assert try_to_the_end(bench) is ResultsStatus.FAILED
    (told,) = reasons(bench)
    assert "north-1" in told


@pytest.mark.parametrize(
    "when", ["2024", "never", "9999-99-99T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01"]
)
def test_an_expiry_that_makes_no_sense_does_no_harm(bench: Bench, offer: Any, when: str) -> None:
    offer({"a.tif": {}}, expires=when, properties={"expires": when})
    assert try_to_the_end(bench) is ResultsStatus.DOWNLOADED


def test_a_file_that_is_longer_than_announced_is_cut_at_once(
    bench: Bench, offer: Any, backend: Any, answer: Any, folder: Path
) -> None:
    backend.on("GET", "/files/a.tif", answer(body=bytes(50_000_000)))
    offer({"a.tif": {"file:size": 1000}})
    tracemalloc.start()
    assert try_to_the_end(bench) is ResultsStatus.FAILED
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "65536 bytes, but 1000 were announced" in reasons(bench)[0]
    assert peak < 20_000_000
    assert list((folder / FOLDER).iterdir()) == [folder / FOLDER / "job_north-1.json"]


@pytest.mark.long
def test_10000_assets_that_cannot_be_had_cost_little(bench: Bench, offer: Any, backend: Any) -> None:
    offer({f"{number:05}/../../x.tif": {"href": "http://127.0.0.1:1/x"} for number in range(10_000)})
    assert try_to_the_end(bench) is ResultsStatus.FAILED
    assert view(bench, "SELECT count(*) FROM assets") == [(10_000,)]
    assert len(reasons(bench)) < 30
