"""How messages group: real ones of backends stand in failure_messages.txt, each with its key."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from openeo_jobs.policy.failure_keys import normalise_message

TABLE = Path(__file__).with_name("failure_messages.txt").read_text(encoding="utf-8")


def read_groups() -> list[tuple[str, list[str]]]:
    """Return the keys of the table, each with its messages; `\\n` and `\\t` are written out there."""
    groups: list[tuple[str, list[str]]] = []
    for line in TABLE.splitlines():
        if line.startswith("= "):
            groups.append((line[2:], []))
        elif line.startswith("- "):
            groups[-1][1].append(line[2:].replace("\\n", "\n").replace("\\t", "\t"))
        else:
            assert not line or line.startswith("#"), line
    return groups


GROUPS = read_groups()


@pytest.mark.parametrize(("key", "messages"), GROUPS, ids=[key[:60] for key, _ in GROUPS])
def test_real_messages_of_one_failure_have_one_key(key: str, messages: list[str]) -> None:
    assert {normalise_message(message) for message in messages} == {key}


def test_there_are_enough_of_them_and_each_failure_has_a_key_of_its_own() -> None:
    keys = [key for key, _ in GROUPS]

    assert len(keys) == len(set(keys)) >= 30
    assert sum(len(messages) for _, messages in GROUPS) >= 60


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("[404] JobNotFound: The batch job 'j-2402094545d94b5fb4d4ee2d9a1ca4b7' does not exist.",
         "[*] JobNotFound: The batch job '<id>' does not exist."),
        ("The job 5f1a2b3c-1234-4abc-9def-0123456789ab was canceled", "The job <id> was canceled"),
        ("Server error at https://openeo.vito.be/openeo/1.2/jobs/j-24?limit=5", "Server error at <url>"),
        ("[500] Internal: Server error: KeyError('B04') (ref: r-2401310abcdef0123456789)",
         "[*] Internal: Server error: KeyError('B*') (ref: <id>)"),
        ("batch job j-8x2kqp9wzt was not found", "batch job <id> was not found"),
        ("batch job j-24013112 was not found", "batch job <id> was not found"),
        ("batch job vito-qp9wzt3 was not found", "batch job <id> was not found"),
        ("Out of memory: 8192 MB of 8,192.0 MB used", "Out of memory: * MB of * MB used"),
        ("step 3 of 12 failed after 1.5e3 s", "step * of * failed after * s"),
        ("bbox [11.25, -46.5, 11.3, 46.6] is empty", "bbox [*, *, *, *] is empty"),
        ("  several\n\tlines   here ", "several lines here"),
        ("cafe deadbeef is a word, 0badc0ffee1 is not", "cafe deadbeef is a word, <id> is not"),
        ('File "/opt/udf.py", line 42, in apply', 'File "/opt/udf.py", line *, in apply'),
        ("no 'SENTINEL2_L2A' here", "no 'SENTINEL*_L*A' here"),
        ("self-explanatory, no-data, well-documented", "self-explanatory, no-data, well-documented"),
        ("Marker 12 of 30 May 2024 is missing since 5 Jan", "Marker * of <time> is missing since <time>"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_message_loses_what_differs_from_row_to_row(message: str, key: str) -> None:
    assert normalise_message(message) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tile T31UFS: no data between 2024-01-01 and 2024-02-01",
         "tile T31UFS: no data between 2023-06-01 and 2023-07-01"),
        ("job j-2401310a1b2c3d4e5f60718293a4b5c6 timed out after 3600 s",
         "job j-ffeeddccbbaa99887766554433221100 timed out after 120.5 s"),
        ("https://a.test/x failed", "https://b.test/y?z=1 failed"),
    ],
)  # fmt: skip
def test_the_same_failure_of_two_rows_has_one_key(one: str, other: str) -> None:
    assert normalise_message(one) == normalise_message(other)


def test_different_failures_have_different_keys() -> None:
    assert normalise_message("no band B04") != normalise_message("no band SCL")


def test_a_key_has_an_end() -> None:
    assert len(normalise_message("x " * 10_000)) <= 300


@pytest.mark.parametrize(
    "message",
    ["0" * 20_000, "-" * 20_000, "a-" * 10_000, "1," * 10_000, "f" * 20_000, "/a" * 10_000, "(((" * 9_000],
)
def test_an_odd_message_has_a_key_at_once(message: str) -> None:
    began = time.process_time()

    assert len(normalise_message(message)) <= 300
    assert time.process_time() - began < 0.5
