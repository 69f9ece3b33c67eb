"""Every line of "What happens when" in the README, and the test that holds it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
HELD_BY = {
    "the power is cut": (
        "test_a_writer_flushes_to_the_disk",
        "test_the_intent_is_stored_before_the_request_leaves",
        "test_killed_while_the_request_is_on_the_wire_adopts_what_it_created",
    ),
    "the process is killed": (
        "test_a_campaign_that_is_killed_again_and_again_goes_on",
        "test_one_campaign_survives_every_point_one_after_the_other",
        "test_campaigns_survive_60_kills_on_a_backend_that_fails",
    ),
    "a 504 comes after a batch job was created": (
        "test_a_504_after_the_creation_makes_no_second_batch_job",
        "test_a_request_that_never_arrived_takes_two_listings_and_the_grace",
    ),
    "the token expires": (
        "test_logins_that_expire_are_made_anew_by_the_callable",
        "test_a_login_that_another_shell_stored_is_noticed_and_used",
        "test_a_login_that_cannot_be_renewed_pauses_its_backend_and_the_command_is_told_once",
    ),
    "a backend is gone for a day": (
        "test_a_backend_that_is_gone_for_a_day_fails_and_loses_no_row",
        "test_a_backend_that_is_gone_for_a_day_leaves_no_row_to_a_person",
    ),
    "two managers run it": (
        "test_two_runs_share_the_rows_and_both_end",
        "test_a_run_that_is_killed_leaves_its_rows_to_the_other",
        "test_processes_share_a_campaign_though_one_was_suspended_past_its_lease",
    ),
    "two people run it, each with an account": (
        "test_what_one_account_left_behind_waits_for_it_while_the_other_goes_on",
        "test_rows_of_another_account_are_neither_asked_for_nor_lost_nor_created_again",
    ),
    "the laptop sleeps": (
        "test_nothing_is_decided_from_the_time_that_was_slept_before_a_backend_was_asked",
        "test_what_has_changed_meanwhile_is_told_in_one_line",
    ),
    "the disk is full": (
        "test_a_full_disk_lets_the_campaign_wait_and_nothing_leaves",
        "test_a_disk_that_fills_up_at_any_moment_creates_nothing_twice",
    ),
    "the database is deleted or replaced": (
        "test_a_file_that_is_deleted_stops_the_run_and_none_is_made_anew",
        "test_a_file_that_is_replaced_stops_the_run_and_stays_as_it_is",
    ),
    "somebody deletes a batch job in the web editor": ("test_a_batch_job_that_is_deleted_is_lost",),
}


@cache
def names_of_tests() -> set[str]:
    return {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("what", HELD_BY)
def test_a_line_is_held_by_tests_that_exist(what: str) -> None:
    assert set(HELD_BY[what]) - names_of_tests() == set()


def test_each_line_of_the_readme_is_held_by_a_test() -> None:
    readme = (TESTS.parent / "README.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| what happens when \.\.\. \|.*?\n\n", readme, flags=re.DOTALL | re.MULTILINE)
    lines = [line.split("|")[1].strip() for line in table.splitlines()[2:] if line]
    assert set(lines) == set(HELD_BY)
