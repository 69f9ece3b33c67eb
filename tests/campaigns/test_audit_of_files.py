"""`openeo-jobs audit --files`: every file of complete rows is read, and what could not be is never fine."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from campaigning import make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager, audit
from openeo_jobs.cli import main
from openeo_jobs.policy.audit import Finding, Verdict

FINE = {
    "rows whose files are as they were left": (Verdict.FINE, 4),
    "rows whose files are missing": (Verdict.FINE, None),
    "rows with files of another size": (Verdict.FINE, None),
    "rows with files of another checksum": (Verdict.FINE, None),
    "rows without their job-results.json": (Verdict.FINE, None),
}


@pytest.fixture
def folder(north, make_manager, tmp_path, monkeypatch) -> Path:
    """Go to a folder with a campaign of 4 rows that is over."""
    monkeypatch.chdir(tmp_path)
    make_manager(north).run_jobs(make_rows(4), start_job, "jobs.csv")
    return tmp_path


def find_files() -> dict[str, Finding]:
    return {one.check: one for one in audit("jobs.sqlite", files=True).findings if one.place == "files"}


def summarise(found: dict[str, Finding]) -> dict[str, tuple[Verdict, int | None]]:
    return {check: (one.verdict, one.number) for check, one in found.items()}


def first_files(folder: Path) -> list[Path]:
    """Return the first file of each row, in the order of the rows."""
    paths = query(folder / "jobs.sqlite", "SELECT min(path) FROM assets GROUP BY job ORDER BY job")
    return [folder / path for (path,) in paths]


def change(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as connection, connection:
        connection.execute(sql)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_files_of_a_campaign_are_as_they_were_left(folder) -> None:
    assert summarise(find_files()) == FINE


def test_without_files_none_is_read(folder, capsys) -> None:
    assert all(one.place != "files" for one in audit("jobs.sqlite").findings)
    assert main(["audit", "--offline"]) == 0
    assert "job-results.json" not in capsys.readouterr().out


def test_each_kind_of_damage_is_told_with_row_path_and_remedy(folder, capsys) -> None:
    missing, shorter, other, lonely = first_files(folder)
    missing.unlink()
    shorter.write_bytes(shorter.read_bytes()[:-1])
    flip_a_byte(other)
    lonely.with_name("job-results.json").unlink()
    found = find_files()
    assert summarise(found) == dict.fromkeys(FINE, (Verdict.WRONG, 1)) | {
        "rows whose files are as they were left": (Verdict.FINE, 0)
    }
    assert found["rows whose files are missing"].detail.startswith(
        f"row 1 ({missing.relative_to(folder)}); start the script again"
    )
    assert "delete these files first" in found["rows with files of another checksum"].detail
    assert "delete" not in found["rows with files of another size"].detail

    assert main(["audit", "--files", "--offline"]) == 1
    out = capsys.readouterr().out
    assert " files        rows whose files are as they were left             0   fine\n" in out
    assert "              rows with files of another checksum                1   WRONG\n" in out
    assert "openeo-jobs orphans" not in out, "files are no batch jobs"


def test_what_is_told_about_remedies_is_true(folder, north, make_manager) -> None:
    missing, shorter, other, lonely = first_files(folder)
    contents = [path.read_bytes() for path in (missing, shorter, other)]
    missing.unlink()
    shorter.write_bytes(b"")
    flip_a_byte(other)
    lonely.with_name("job-results.json").unlink()
    make_manager(north).run_jobs(None, start_job, "jobs.csv")
    left = summarise(find_files())
    assert left["rows with files of another checksum"] == (Verdict.WRONG, 1), "a run compares sizes only"
    assert left["rows whose files are as they were left"] == (Verdict.FINE, 3)
    other.unlink()
    make_manager(north).run_jobs(None, start_job, "jobs.csv")
    assert summarise(find_files()) == FINE
    assert [path.read_bytes() for path in (missing, shorter, other)] == contents


def test_what_is_not_known_is_not_checked_and_never_fine(folder, capsys) -> None:
    change(folder, "UPDATE asset SET checksum = NULL WHERE attempt_id = 1")
    change(folder, "DELETE FROM asset WHERE attempt_id = 2")
    found = summarise(find_files())
    assert found["rows with files of unknown checksum"] == (Verdict.NOT_CHECKED, 1)
    assert found["rows of which no files are known"] == (Verdict.NOT_CHECKED, 1)
    assert found["rows whose files are as they were left"] == (Verdict.FINE, 2)
    assert main(["audit", "--files", "--offline"]) == 0
    assert "Nothing is wrong in what was checked." in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_not_checked(folder) -> None:
    first_files(folder)[0].chmod(0)
    assert summarise(find_files())["rows whose files cannot be read"] == (Verdict.NOT_CHECKED, 1)


def test_rows_whose_hook_has_taken_the_download_over_are_not_checked(
    north, make_manager, tmp_path, monkeypatch
) -> None:
    class Own(MultiBackendJobManager):
        def on_job_done(self, job, row):
            pass

    monkeypatch.chdir(tmp_path)
    make_manager(north, cls=Own).run_jobs(make_rows(2), start_job, "jobs.csv")
    found = summarise(find_files())
    assert found["rows of which no files are known"] == (Verdict.NOT_CHECKED, 2)
    assert found["rows whose files are as they were left"] == (Verdict.FINE, 0)


def test_a_moved_campaign_is_read_where_it_is_now(folder, monkeypatch, tmp_path_factory) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "campaign"
    folder.rename(target)
    monkeypatch.chdir(target)
    assert summarise(find_files()) == FINE
    folder.mkdir()  # the simulator lies there
