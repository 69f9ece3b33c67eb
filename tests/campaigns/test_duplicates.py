"""P4: a duplicate is inert, found and reported; restored backups and copies compute no row again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from campaigning import PROCESS, QUICK, connect_to, make_rows, query, start_job
from openeo_jobs import MultiBackendJobManager, audit
from openeo_jobs.cli import main
from openeo_jobs.policy.audit import Audit, Verdict
from openeo_jobs.simulator import Deviations, Simulator
from openeo_jobs.simulator.deviations import Answers, Lags
from openeo_jobs.storage.store import open_store

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder of a user of whom openEO's client has stored nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENEO_JOBS", raising=False)
    return tmp_path


def store_login(simulator: Simulator) -> None:
    """Do what `openeo-auth add-basic` does."""
    path = Path("XDG_CONFIG_HOME") / "openeo-python-client" / "auth-config.json"
    login = {"basic": {"username": "user", "password": "password"}}
    content = {"general": {}, "backends": {simulator.url.rstrip("/"): login}}
    path.write_text(json.dumps({"metadata": {"type": "AuthConfig"}, **content}))
    path.chmod(0o600)


def numbers(found: Audit, verdict: Verdict) -> dict[str, int | None]:
    return {finding.check: finding.number for finding in found.findings if finding.verdict is verdict}


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a campaign on a backend whose listing lags for longer than `grace`."""
    folder = tmp_path_factory.mktemp("late")
    lags = Deviations(lags=Lags(listing_seconds=600))
    with Simulator(folder=folder / "n", name="north", deviations=lags, **QUICK) as north:
        north.drop_next("POST", "^/jobs$", times=2, after_effect=True)
        manager = MultiBackendJobManager(poll_sleep=0.05, root_dir=folder / "results", grace=0.05)
        manager.add_backend("north", connect_to(north), parallel_jobs=4)
        manager.run_jobs(make_rows(4), start_job, folder / "jobs.csv")
    return folder


@pytest.fixture
def north_with_orphans(folder: Path, late: Path) -> Simulator:
    """Take that campaign here, with its backend, which lags no more."""
    shutil.copytree(late, folder, dirs_exist_ok=True)
    return Simulator(folder=folder / "n", name="north", **QUICK)


def test_duplicates_of_late_listings_are_inert_and_an_audit_finds_them(north_with_orphans) -> None:
    with north_with_orphans as north:
        found = audit("jobs.csv", {"north": connect_to(north)})
        truth = north.truth()
    assert numbers(found, Verdict.WRONG) == {"orphans, never started": 2}
    assert found.is_wrong
    assert len(truth.batch_jobs) == 6
    assert truth.executions_per_row == dict.fromkeys(range(1, 5), 1)


def test_a_later_run_records_and_reports_them(north_with_orphans, make_manager, caplog) -> None:
    with north_with_orphans as north:
        make_manager(north).run_jobs(make_rows(4), start_job, "jobs.csv")
        assert "orphans, batch jobs that no row uses: 2; see: openeo-jobs orphans" in caplog.text
        assert all(one.executions <= 1 for one in north.truth().batch_jobs)
    seen = query(
        Path("jobs.sqlite"), "SELECT seen_status FROM batch_jobs WHERE NOT chosen AND id IS NOT NULL"
    )
    assert seen == [("created",), ("created",)]


def test_orphans_are_listed_disowned_and_deleted(north_with_orphans, make_manager, capsys) -> None:
    with north_with_orphans as north:
        make_manager(north).run_jobs(make_rows(4), start_job, "jobs.csv")
        assert main(["orphans", "--json"]) == 0
        first, second = (one["id"] for one in json.loads(capsys.readouterr().out)["orphans"])

        assert main(["orphans", "--foreign", first]) == 0
        assert main(["orphans", "--delete"]) == 2  # nobody is there to be asked
        assert f"this would delete 1 batch job: {second} (row " in capsys.readouterr().err
        assert main(["orphans", "--delete", "--yes"]) == 1
        assert f"{second} on north: not deleted: no login for {north.url}" in capsys.readouterr().out
        store_login(north)
        assert main(["orphans", "--delete", "--yes"]) == 0
        assert f"{second} on north: deleted" in capsys.readouterr().out

        assert main(["audit"]) == 0
        assert "Nothing is wrong.\n" in capsys.readouterr().out
        deleted = {one.id for one in north.truth().batch_jobs if one.deleted_at}
    assert deleted == {second}
    settled = query(Path("jobs.sqlite"), "SELECT id, settled_as FROM batch_jobs WHERE settled_as NOT NULL")
    assert sorted(settled) == sorted([(first, "foreign"), (second, "deleted")])


def test_a_deletion_that_did_nothing_is_told(folder: Path, north_with_orphans, make_manager, capsys) -> None:
    with north_with_orphans as north:
        make_manager(north).run_jobs(make_rows(4), start_job, "jobs.csv")
    lying = Deviations(answers=Answers(delete=202))
    with Simulator(folder=folder / "n", name="north", deviations=lying) as north:
        store_login(north)
        assert main(["orphans", "--delete", "--yes"]) == 1
    assert capsys.readouterr().out.count("its backend said yes, and still has it") == 2
    with open_store(Path("jobs.sqlite")) as store:
        assert store.orphans.count() == 2


def test_the_audit_in_the_readme_is_what_the_command_prints(north_with_orphans, capsys) -> None:
    with north_with_orphans as north:
        store_login(north)
        assert main(["audit"]) == 1
    (screen,) = re.findall(r"```text\n\$ openeo-jobs audit\n(.*?)```", README, re.DOTALL)
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines()[:-1])  # the last one ends with a path
    assert _masked(screen) == _masked(printed)


def _masked(text: str) -> list[str]:
    text = re.sub(r"north-\d+ \(row \d+\)(, )?", "ID", text).replace("IDID", "ID")
    text = re.sub(r"cd \S+ && .*", "cd FOLDER && PROGRAM", text)
    text = re.sub(r"(> )\S*openeo-jobs", r"\1openeo-jobs", text)
    return [" ".join(re.sub(r"\d+", "#", line).split()) for line in text.strip().splitlines()]


def restore_backup(make_manager, north: Simulator, before: int, after: int) -> pd.DataFrame:
    """Go on to *after* rows, go back to the database of *before*, and run again; return the rows."""
    make_manager(north).run_jobs(make_rows(before), start_job, "jobs.csv")
    shutil.copy("jobs.sqlite", "backup.sqlite")
    rows = make_rows(after)
    make_manager(north).run_jobs(rows, start_job, "jobs.csv", on_exists="append")
    shutil.copy("backup.sqlite", "jobs.sqlite")
    Path("jobs.csv").unlink()
    make_manager(north).run_jobs(rows, start_job, "jobs.csv", on_exists="append")
    return rows


def test_a_restored_backup_is_asked_about_and_its_rows_are_adopted(
    folder: Path, north, make_manager, capsys
) -> None:
    rows = restore_backup(make_manager, north, 2, 6)
    assert len(north.truth().batch_jobs) == 6
    assert main(["status"]) == 0
    screen = " ".join(capsys.readouterr().out.split())
    assert "rows 3, 4, 5, 6 wait for you: a batch job has its tag, and the database does not know" in screen
    assert "adopt --all > " in screen
    assert main(["audit", "--offline"]) == 1
    capsys.readouterr()

    assert main(["adopt", "--all"]) == 0
    assert "4 rows have their batch job again: rows 3, 4, 5, 6." in capsys.readouterr().out
    make_manager(north).run_jobs(rows, start_job, "jobs.csv")
    assert query(Path("jobs.sqlite"), "SELECT DISTINCT status, results_status FROM jobs") == [
        ("finished", "downloaded")
    ]
    assert north.truth().executions_per_row == dict.fromkeys(range(1, 7), 1)
    assert not audit("jobs.csv", {"north": connect_to(north)}).is_wrong


def test_a_campaign_folder_that_was_copied_computes_no_row_again(folder: Path, north, make_manager) -> None:
    def stop(row, **_):
        raise KeyboardInterrupt

    (folder / "a").mkdir()
    with pytest.raises(KeyboardInterrupt):
        make_manager(north).run_jobs(make_rows(3), stop, "a/jobs.csv")
    shutil.copytree("a", "b")
    make_manager(north).run_jobs(make_rows(3), start_job, "a/jobs.csv")
    make_manager(north).run_jobs(make_rows(3), start_job, "b/jobs.csv")
    assert north.truth().executions_per_row == {1: 1, 2: 1, 3: 1}
    assert query(Path("b/jobs.sqlite"), "SELECT count(*) FROM job WHERE needs_person_since NOT NULL") == [
        (3,)
    ]

    found = audit("b/jobs.csv", {"north": connect_to(north)})
    assert numbers(found, Verdict.WRONG) == {"that wait for a person": 3, "unknown to the database": 3}


def skip(row, **_: object) -> None:
    """Make nothing of a row."""


def find_account(row: int) -> list[tuple[str, str | None]]:
    return query(
        Path("jobs.sqlite"),
        f"SELECT status, account FROM job JOIN attempt ON attempt.id = attempt_id WHERE job.id = {row}",
    )


def test_the_backend_is_asked_for_what_is_adopted(folder: Path, north, make_manager, capsys) -> None:
    make_manager(north).run_jobs(make_rows(1), skip, "jobs.csv")
    by_hand = connect_to(north)().create_job(PROCESS, title="by hand").job_id
    store_login(north)
    before = find_account(1)
    assert main(["adopt", "--row", "1", "--id", "no-such"]) == 1
    assert capsys.readouterr().err == (
        "openeo-jobs: north shows no batch job no-such to account user; if it is another account's, log in "
        "as that, or adopt it unseen: openeo-jobs adopt --row 1 --id no-such --offline\n"
    )
    assert find_account(1) == before

    assert main(["adopt", "--row", "1", "--id", by_hand]) == 0
    assert capsys.readouterr().out.startswith(
        f"Row 1 has batch job {by_hand} on north now.\nNothing runs this"
    )
    assert find_account(1) == [("submitting", "user")]


@pytest.mark.parametrize("options", [["--offline"], []])
def test_what_cannot_be_asked_for_is_adopted_unseen(
    folder: Path, north, make_manager, capsys, options
) -> None:
    make_manager(north).run_jobs(make_rows(1), skip, "jobs.csv")
    assert main(["adopt", "--row", "1", "--id", "no-such", *options]) == 0
    reason = "it was not to be" if options else f"no login for {north.url}"
    assert f"north was not asked whether it has it ({reason}" in capsys.readouterr().out
    assert find_account(1) == [("submitting", None)]


def test_of_many_that_are_adopted_those_that_are_gone_are_told(
    folder: Path, north, make_manager, capsys
) -> None:
    restore_backup(make_manager, north, 1, 3)
    with open_store(Path("jobs.sqlite")) as store:
        gone = next(one.batch_job_id for one in store.orphans.open() if one.row == 2)
    connect_to(north)().job(gone).delete()
    store_login(north)
    capsys.readouterr()
    assert main(["adopt", "--all"]) == 1
    told = capsys.readouterr().out
    assert "1 row has its batch job again: row 3.\n" in told
    assert f"Row 2: north shows no batch job {gone} to account user" in told
    assert find_account(3) == [("submitting", "user")]
