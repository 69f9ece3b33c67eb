"""Which campaign a command means, and how it says that there is none."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

import openeo_jobs


def name_of(result: tuple[int, str, str]) -> str:
    code, out, err = result
    assert (code, err) == (0, "")
    return out.split()[0]


def test_the_csv_means_the_database_beside_it(campaign, type_in) -> None:
    assert name_of(type_in("status", campaign.with_suffix(".csv"))) == "jobs.sqlite"


def test_a_folder_means_the_campaign_in_it(campaign, type_in) -> None:
    assert name_of(type_in("status", campaign.parent)) == "jobs.sqlite"


def test_the_environment_names_the_campaign(campaign, type_in, monkeypatch) -> None:
    other = shutil.copy(campaign, campaign.with_name("other.sqlite"))
    monkeypatch.setenv("OPENEO_JOBS", str(other))
    assert name_of(type_in("status")) == "other.sqlite"
    assert name_of(type_in("status", "jobs.sqlite")) == "jobs.sqlite"


def test_the_only_campaign_here_is_found_by_any_name(campaign, type_in) -> None:
    campaign.rename(campaign.with_name("europe.db"))
    campaign.with_name("notes.sqlite").write_text("no database")
    assert name_of(type_in("status")) == "europe.db"


def test_of_two_campaigns_one_has_to_be_named(campaign, type_in) -> None:
    shutil.copy(campaign, campaign.with_name("a.sqlite"))
    campaign.rename(campaign.with_name("b.sqlite"))
    code, out, err = type_in("status")
    assert (code, out) == (2, "")
    assert err.splitlines()[1:] == ["  openeo-jobs status a.sqlite", "  openeo-jobs status b.sqlite"]


def test_where_there_is_none_those_in_folders_below_are_named(campaign, folder, type_in, monkeypatch) -> None:
    (folder / "demo").mkdir()
    campaign.rename(folder / "demo" / "jobs.sqlite")
    code, _, err = type_in("status")
    assert code == 1
    assert err.endswith("there is:\n  openeo-jobs status demo/jobs.sqlite\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.sqlite", "does not exist"),
        ("nothing.csv", "has no database beside it"),
        ("notes.txt", "is not a SQLite database"),
    ],
)
def test_what_is_no_campaign_is_an_error_in_one_line(folder, type_in, name: str, message: str) -> None:
    (folder / "notes.txt").write_text("buy milk")
    for command in (["status"], ["failures"], ["retry", "--row", "1"], ["db", "upgrade"]):
        code, out, err = type_in(*command, name)
        assert (code, out) == (1, "")
        assert message in err
        assert err.startswith("openeo-jobs: ")
        assert err.count("\n") == 1


def test_a_database_of_another_version_is_refused_with_the_command(campaign, type_in) -> None:
    with closing(sqlite3.connect(campaign)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    code, _, err = type_in("status")
    assert code == 1
    assert "pip install --upgrade openeo-jobs" in err


def test_upgrade_says_that_nothing_was_to_do(campaign, type_in) -> None:
    assert type_in("db", "upgrade") == (0, "jobs.sqlite is up to date; nothing was to do.\n", "")


def test_the_version_is_a_result(type_in) -> None:
    assert type_in("--version") == (0, f"openeo-jobs {openeo_jobs.__version__}\n", "")


def test_alone_it_shows_a_line_for_every_command(type_in) -> None:
    code, out, _ = type_in()
    assert code == 0
    for command in ("demo", "status", "failures", "retry", "db", "simulate"):
        assert any(line.startswith(f"    {command} ") for line in out.splitlines())


def test_an_unknown_command_is_wrong_usage(type_in) -> None:
    code, out, err = type_in("shwo")
    assert (code, out) == (2, "")
    assert "shwo" in err
