"""A process dies before or after every commit, request and rename; the next one brings all to its end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest
from judging import find_damage, find_violations
from zygote import Life, Order, Process

from openeo_jobs.simulator import Simulator

AT_A_TIME = 3
START = "POST /jobs/{job_id}/results"
COMMIT = re.compile(r"(before|after) \w+\.\w+")
RECOVERIES = {
    "after claims.claim": ["before owners.take_over"],
    "before POST /validation": ["after owners.take_over"],
    "after POST /validation": ["before creations.release"],
    "before creations.record_intent": ["after creations.release"],
    "after creations.record_intent": [
        "before creations.record_absent",
        "before creations.record_not_created",
    ],
    "before POST /jobs": ["after creations.record_absent", "after creations.record_not_created"],
    "after POST /jobs": ["before creations.record_found"],
    "before creations.record_outcome": ["after creations.record_found"],
    "after creations.record_outcome": ["before creations.adopt"],
    "before creations.choose": ["after creations.adopt"],
}
"""A sample: where those die that are to recover from a death at a point."""


@pytest.fixture(scope="module")
def points(address: str, backend: Simulator, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every crash point of a campaign, in the order of a run that nothing interrupts."""
    order = Order(folder=str(tmp_path_factory.mktemp("reference")), url=backend.url)
    return list(dict.fromkeys([*run(address, order).points, *run(address, order).points]))


def run(address: str, order: Order) -> Life:
    life = Process(address, order).wait()
    assert life.error is None, life.error
    return life


def find_core(points: Sequence[str]) -> list[str]:
    """Return the points from the claim to the first sight of a batch job that was started."""
    return points[points.index("before claims.claim") : points.index("after progress.record") + 1]


def find_submission(points: Sequence[str]) -> list[str]:
    """Return the points from the claim to the answer to the start request."""
    return points[points.index("after claims.claim") : points.index(f"after {START}") + 1]


def find_recoveries(address: str, order: Order, points: Sequence[str], folder: Path) -> list[tuple[str, ...]]:
    """Return each point of the submission with each commit of a process that recovers from a death there.

    What happens to the row once its batch job is there is left out.
    """
    known, core, pairs = set(points), set(find_core(points)), []
    for number, first in enumerate(find_submission(points)):
        (folder / str(number)).mkdir(parents=True)
        one = replace(order, folder=str(folder / str(number)))
        if run(address, replace(one, dies_at=first)).was_killed:
            commits = [point for point in run(address, one).points if COMMIT.fullmatch(point)]
            pairs += [
                (first, point) for point in dict.fromkeys(commits) if point in core or point not in known
            ]
    return pairs


def die_everywhere(
    address: str, order: Order, points: Sequence[str], backend: Simulator
) -> tuple[list[str], list[str]]:
    """Let one process after the other die, each at the next point, then go on to the end.

    Return at which points none has died, and what was wrong.
    """
    missed, damage = [], []
    for point in points:
        if not run(address, replace(order, dies_at=point)).was_killed:
            missed.append(point)
        damage += [f"{point}: {found}" for found in find_damage(Path(order.folder))]
    run(address, order)
    return missed, damage + find_violations(Path(order.folder), backend, rows=order.rows)


def die_once_each(
    address: str, order: Order, deaths: Sequence[tuple[str, ...]], backend: Simulator
) -> tuple[set[str], dict[tuple[str, ...], list[str]]]:
    """Let processes die at the points of each of *deaths*, in a campaign of its own; several at a time.

    Return at which points none has died, and what was wrong.
    """

    def die(number: int) -> tuple[list[str], list[str]]:
        folder = Path(order.folder) / str(number)
        folder.mkdir(parents=True)
        return die_everywhere(address, replace(order, folder=str(folder)), deaths[number], backend)

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        cases = list(threads.map(die, range(len(deaths))))
    missed = {point for points_of_case, _ in cases for point in points_of_case}
    return missed, {points: wrong for points, (_, wrong) in zip(deaths, cases, strict=True) if wrong}


def test_the_points_are_those_before_and_after_all_that_matters(points: list[str]) -> None:
    assert len(points) > 70
    assert len(find_core(points)) >= 24
    order = [
        *("after claims.claim", "before creations.record_intent", "after creations.record_intent"),
        *(
            "before POST /jobs",
            "after POST /jobs",
            "after creations.record_outcome",
            "after creations.choose",
        ),
        *("after progress.begin_start", "before POST /jobs/{job_id}/results", "before progress.record"),
        *("after assets.record_plan", "after assets.record_fetched"),
        *("before rename to job-results.json", "after assets.record_settled"),
    ]
    assert [point for point in points if point in order] == order


@pytest.mark.long
def test_a_row_whose_process_dies_at_any_point_of_its_submission_is_executed_once(
    address: str, backend: Simulator, points: list[str], tmp_path: Path
) -> None:
    order = Order(folder=str(tmp_path), url=backend.url)
    core = [(point,) for point in find_core(points)]
    assert die_once_each(address, order, core, backend) == (set(), {})


@pytest.mark.parametrize("change", ["spill_early", "force_wal"])
@pytest.mark.parametrize("rows", [1, 12])
@pytest.mark.parametrize("starts_itself", [False, True])
@pytest.mark.long
def test_a_process_dies_at_any_point_at_all(
    address: str,
    backend: Simulator,
    points: list[str],
    tmp_path: Path,
    change: str,
    rows: int,
    *,
    starts_itself: bool,
) -> None:
    order = Order(
        folder=str(tmp_path), url=backend.url, rows=rows, changes=[change], starts_itself=starts_itself
    )
    missed, wrong = die_once_each(address, order, [(point,) for point in points], backend)
    assert wrong == {}
    assert missed & set(find_core(points)) <= {f"{at} progress.begin_start" for at in ("before", "after")}


@pytest.mark.parametrize("starts_itself", [False, True])
@pytest.mark.long
def test_a_process_dies_at_any_commit_of_the_recovery_from_a_death_at_any_point(
    address: str, backend: Simulator, points: list[str], tmp_path: Path, *, starts_itself: bool
) -> None:
    order = Order(folder=str(tmp_path), url=backend.url, changes=["spill_early"], starts_itself=starts_itself)
    pairs = find_recoveries(address, order, points, tmp_path / "recoveries")
    print(f"{len(pairs)} pairs")
    assert {second for seconds in RECOVERIES.values() for second in seconds} <= {pair[1] for pair in pairs}
    assert die_once_each(address, order, pairs, backend) == (set(), {})


@pytest.mark.thorough
def test_one_campaign_survives_every_point_one_after_the_other(
    address: str, backend: Simulator, points: list[str], folder: Path
) -> None:
    """Those who recover die, too. At the same time a third of it in the other journal mode.

    A row whose `start_job` is interrupted three times fails: in between, one is killed that has brought the
    same row further.
    """
    core = find_core(points)
    sent = core.index("after POST /jobs")
    core = [point for pair in zip_longest(core[:sent], core[sent:]) for point in pair if point]
    deaths = [point for first in core for point in (first, *RECOVERIES.get(first, ()))]

    def survive(mode: str, deaths: Sequence[str]) -> tuple[list[str], list[str]]:
        (folder / mode).mkdir()
        where = {"folder": str(folder / mode), "url": backend.url}
        order = Order(**where, rows=len(deaths), parallel_jobs=4, changes=[mode])
        return die_everywhere(address, order, deaths, backend)

    with ThreadPoolExecutor(2) as threads:
        found = threads.map(survive, ["spill_early", "force_wal"], [deaths, core[::3]])
        assert list(found) == [([], []), ([], [])]


def test_without_the_intent_a_death_around_the_request_leaves_a_batch_job_that_nobody_knows(
    address: str, backend: Simulator, tmp_path: Path
) -> None:
    """The control: what the matrix would say of a tracker that stores only answers."""
    order = Order(folder=str(tmp_path), url=backend.url, changes=["leave_out_the_intent"])
    around = [("before POST /jobs",), ("after POST /jobs",), ("before creations.record_intent",)]
    missed, wrong = die_once_each(address, order, around, backend)
    assert missed == set()
    assert list(wrong) == around[1:]
    assert all(any("one batch job too many" in one for one in found) for found in wrong.values()), wrong
