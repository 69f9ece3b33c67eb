"""A process dies before or after every commit, request and rename; the next one brings all to its end."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from judging import find_damage, find_violations
from zygote import Life, Order, Process

from openeo_jobs.simulator import Simulator

AT_A_TIME = 3


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


def die_everywhere(
    address: str, order: Order, points: Sequence[str], backend: Simulator
) -> tuple[set[str], list[str]]:
    """Let one process after the other die, each at the next point, then go on to the end.

    Return at which points one has died, and what was wrong.
    """
    died, damage = set(), []
    for point in points:
        if run(address, replace(order, dies_at=point)).was_killed:
            died.add(point)
        damage += [f"{point}: {found}" for found in find_damage(Path(order.folder))]
    run(address, order)
    return died, damage + find_violations(Path(order.folder), backend, rows=order.rows)


def die_once_each(
    address: str, order: Order, points: Sequence[str], backend: Simulator
) -> tuple[set[str], dict[str, list[str]]]:
    """Let a process die at each point, in a campaign of its own; several at a time."""

    def die(number: int) -> tuple[set[str], list[str]]:
        folder = Path(order.folder) / str(number)
        folder.mkdir(parents=True)
        return die_everywhere(address, replace(order, folder=str(folder)), [points[number]], backend)

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        cases = list(threads.map(die, range(len(points))))
    died = {point for points_of_case, _ in cases for point in points_of_case}
    return died, {point: wrong for point, (_, wrong) in zip(points, cases, strict=True) if wrong}


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
    core = find_core(points)
    order = Order(folder=str(tmp_path), url=backend.url)
    died, wrong = die_once_each(address, order, core, backend)
    assert wrong == {}
    assert died == set(core)


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
    died, wrong = die_once_each(address, order, points, backend)
    assert wrong == {}
    assert set(find_core(points)) - died <= {f"{at} progress.begin_start" for at in ("before", "after")}


def test_one_campaign_survives_every_point_one_after_the_other(
    address: str, backend: Simulator, points: list[str], folder: Path
) -> None:
    """Twice, at the same time: in either journal mode.

    Only two follow one another at which nothing was created: a row whose `start_job` is interrupted there
    three times in a row fails.
    """
    core = find_core(points)
    core = core[::3] + core[1::3] + core[2::3]

    def survive(mode: str) -> tuple[set[str], list[str]]:
        (folder / mode).mkdir()
        order = Order(folder=str(folder / mode), url=backend.url, rows=2 * len(core), changes=[mode])
        died, wrong = die_everywhere(address, order, core, backend)
        return set(core) - died, wrong

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(survive, ["spill_early", "force_wal"])) == [(set(), []), (set(), [])]


def test_without_the_intent_a_death_around_the_request_leaves_a_batch_job_that_nobody_knows(
    address: str, backend: Simulator, tmp_path: Path
) -> None:
    """The control: what the matrix would say of a tracker that stores only answers."""
    order = Order(folder=str(tmp_path), url=backend.url, changes=["leave_out_the_intent"])
    around = ["before POST /jobs", "after POST /jobs", "before creations.record_intent"]
    died, wrong = die_once_each(address, order, around, backend)
    assert died == set(around)
    assert wrong.keys() == {"after POST /jobs", "before creations.record_intent"}
    assert all(any("one batch job too many" in one for one in found) for found in wrong.values()), wrong
