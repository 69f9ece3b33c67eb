"""`openeo-jobs delete-remote`: what is needed no more is deleted on the backends, and nothing else."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import openeo
import pytest

from campaigning import PROCESS, connect_to, make_rows, query, start_job
from openeo_jobs import audit, create_job_db
from openeo_jobs.cli import main
from openeo_jobs.policy.audit import Verdict
from openeo_jobs.simulator import Deviations, Fault, Simulator
from openeo_jobs.simulator.deviations import Answers

DATABASE = Path("jobs.sqlite")


@pytest.fixture
def folder(nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder of a user of whom openEO's client has stored nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENEO_JOBS", raising=False)
    return tmp_path


@pytest.fixture
def campaign(folder: Path, north: Simulator, make_manager) -> Simulator:
    """Make a campaign of 6 rows that is over, on north, to which there is a login."""
    make_manager(north).run_jobs(make_rows(6), start_job, "jobs.csv")
    store_login(north)
    return north


def store_login(*simulators: Simulator, user: str = "user") -> None:
    """Do what `openeo-auth add-basic` does."""
    path = Path("XDG_CONFIG_HOME") / "openeo-python-client" / "auth-config.json"
    login = {"basic": {"username": user, "password": "password"}}
    content = {"general": {}, "backends": {one.url.rstrip("/"): login for one in simulators}}
    path.write_text(json.dumps({"metadata": {"type": "AuthConfig"}, **content}))
    path.chmod(0o600)


def deleted_on(simulator: Simulator) -> set[str]:
    return {one.id for one in simulator.truth().batch_jobs if one.deleted_at is not None}


def ids_of(*rows: int) -> set[str]:
    """Return the batch jobs of these rows; of none: of all."""
    found = query(DATABASE, "SELECT job, id FROM jobs")
    return {one for row, one in found if not rows or row in rows}


def recorded() -> set[str]:
    select = "SELECT id FROM batch_jobs WHERE settled_as = 'deleted' AND settled_at IS NOT NULL"
    return {one for (one,) in query(DATABASE, select)}


def first_file(row: int) -> Path:
    return Path(query(DATABASE, "SELECT min(path) FROM assets WHERE job = ?", row)[0][0])


def test_batch_jobs_of_verified_rows_are_deleted_and_their_rows_stay_complete(
    campaign, make_manager, capsys, caplog
) -> None:
    assert main(["delete-remote", "--yes"]) == 0
    out = capsys.readouterr().out
    assert " north                6                    0        0       6\n" in out
    assert "6 batch jobs deleted.\n" in out
    assert deleted_on(campaign) == recorded() == ids_of()

    caplog.clear()
    make_manager(campaign).run_jobs(None, start_job, "jobs.csv")
    assert query(DATABASE, "SELECT DISTINCT status, results_status FROM jobs") == [("finished", "downloaded")]
    assert len(campaign.truth().batch_jobs) == 6, "nothing is computed anew"
    assert [one for one in caplog.records if one.levelname in ("WARNING", "ERROR")] == []
    found = audit(DATABASE, {"north": connect_to(campaign)}, files=True)
    assert not found.is_wrong
    assert {one.check for one in found.findings if one.verdict is Verdict.NOTE} == set()

    assert main(["delete-remote", "--yes"]) == 0
    assert capsys.readouterr().out.startswith("Nothing to delete")


def test_nobody_is_there_to_be_asked(campaign, capsys) -> None:
    assert main(["delete-remote", "--where", "year = 2020", "--keep-failed"]) == 2
    captured = capsys.readouterr()
    assert "delete-remote --where 'year = 2020' --keep-failed --yes" in captured.err
    assert "superseded attempts" in captured.out
    assert deleted_on(campaign) == recorded() == set()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1)])
def test_on_a_terminal_it_asks(campaign, monkeypatch, capsys, answer, code) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: answer)
    assert main(["delete-remote"]) == code
    assert len(deleted_on(campaign)) == (6 if answer else 0)


def test_a_dry_run_lists_and_deletes_nothing(campaign, capsys) -> None:
    assert main(["delete-remote", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert all(f" north  {one}  verified, row " in out for one in ids_of())
    assert campaign.requests("DELETE") == []
    assert recorded() == set()


def test_rows_are_chosen_by_a_condition(campaign) -> None:
    assert main(["delete-remote", "--where", "tile IN ('T000', 'T002')", "--yes"]) == 0
    assert deleted_on(campaign) == recorded() == ids_of(1, 3)


def test_rows_whose_files_are_not_here_keep_their_batch_jobs(campaign, capsys) -> None:
    first_file(1).unlink()
    first_file(2).write_bytes(b"")
    content = bytearray(first_file(3).read_bytes())
    content[0] ^= 1
    first_file(3).write_bytes(content)
    first_file(4).with_name("job-results.json").unlink()
    assert main(["delete-remote", "--yes"]) == 1
    assert deleted_on(campaign) == recorded() == ids_of(5, 6)
    out = capsys.readouterr().out
    assert "Kept:\n     3  files of their rows are not here as they were left" in out
    assert "NOT deleted:\n     1  on north: files of their rows are not here as they were left" in out


def test_rows_of_which_nothing_is_known_on_disk_keep_their_batch_jobs(folder, north, make_manager) -> None:
    make_manager(north, download_results=False).run_jobs(make_rows(2), start_job, "jobs.csv")
    store_login(north)
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(north) == set()


@pytest.mark.thorough
def test_superseded_attempts_are_deleted_and_failed_ones_kept_for_their_logs(
    campaign, make_manager, capsys
) -> None:
    old = ids_of(1, 2)
    [failed] = ids_of(2)
    assert main(["retry", "--row", "1", "--row", "2", "--yes"]) == 0
    with_failure = "UPDATE attempt SET error_class = 'remote error' WHERE job_id = 2 AND number = 1"
    change(with_failure)
    assert main(["delete-remote", "--where", "job < 3", "--yes"]) == 0
    assert deleted_on(campaign) == set(), "the later attempts have no results yet"
    make_manager(campaign).run_jobs(None, start_job, "jobs.csv")
    assert main(["delete-remote", "--where", "job < 3", "--keep-failed", "--yes"]) == 0
    assert deleted_on(campaign) == recorded() == (old | ids_of(1, 2)) - {failed}
    assert main(["delete-remote", "--where", "job < 3", "--yes"]) == 0
    assert deleted_on(campaign) == recorded() == old | ids_of(1, 2)


def change(sql: str) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute(sql)


@pytest.mark.thorough
def test_batch_jobs_that_start_job_reused_from_elsewhere_survive(folder, north, make_manager, capsys) -> None:
    mine = connect_to(north)().create_job(PROCESS, title="of somebody else's campaign")

    def reuse(row, connection, **kwargs) -> openeo.BatchJob:
        return connection.job(mine.job_id) if row.tile == "T000" else start_job(row, connection)

    make_manager(north).run_jobs(make_rows(3), reuse, "jobs.csv")
    store_login(north)
    assert ids_of(1) == {mine.job_id}
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(north) == recorded() == ids_of(2, 3)
    assert "start_job has only returned them: their titles have no tag of this campaign" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_batch_job_of_ours_whose_title_was_changed_is_ours(campaign) -> None:
    for one, title in zip(sorted(ids_of()), ("renamed", "x [oj-zzzzzz-1-aaaaa]"), strict=False):
        connect_to(campaign)().patch(f"/jobs/{one}", json={"title": title}, expected_status=204)
    of_another = sorted(ids_of())[1]
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(campaign) == ids_of() - {of_another}, "that has the tag of another campaign"


def test_other_batch_jobs_of_the_account_survive(campaign) -> None:
    other = connect_to(campaign)().create_job(PROCESS, title="mine")
    assert main(["delete-remote", "--yes"]) == 0
    assert other.job_id not in deleted_on(campaign)


def test_orphans_are_deleted_unless_they_run(folder, north, make_manager, capsys) -> None:
    def create_two(row, connection, **kwargs) -> openeo.BatchJob:
        start_job(row, connection)
        return start_job(row, connection)

    make_manager(north).run_jobs(make_rows(2), create_two, "jobs.csv")
    store_login(north)
    orphans = {one.id for one in north.truth().batch_jobs} - ids_of()
    started = min(orphans)
    connect_to(north)().job(started).start()
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(north) == recorded() == {one.id for one in north.truth().batch_jobs} - {started}
    assert "1  on north: " in capsys.readouterr().out


def test_what_is_another_accounts_survives_and_is_not_taken_for_gone(campaign, capsys) -> None:
    store_login(campaign, user="yvonne")
    assert main(["delete-remote", "--yes"]) == 1
    assert deleted_on(campaign) == recorded() == set()
    assert "they are another account's, which has to delete them" in capsys.readouterr().out


def test_of_accounts_that_are_not_known_a_404_proves_nothing_once_there_are_others(campaign) -> None:
    change("UPDATE attempt SET account = CASE WHEN job_id = 1 THEN 'user' END")
    store_login(campaign, user="yvonne")
    assert main(["delete-remote", "--yes"]) == 1
    assert recorded() == set()


@pytest.mark.thorough
def test_what_is_gone_already_counts_as_deleted(campaign) -> None:
    connect_to(campaign)().job(min(ids_of())).delete()
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(campaign) == recorded() == ids_of()


@pytest.mark.thorough
def test_what_may_be_in_a_part_of_a_federation_that_is_away_does_not(
    folder, make_manager, monkeypatch
) -> None:
    with Simulator(folder=folder / "n", name="north", run_seconds=(0.0, 0.1)) as north:
        make_manager(north).run_jobs(make_rows(3), start_job, "jobs.csv")
        store_login(north)
        connect_to(north)().job(min(ids_of())).delete()
        sight = north._session.service.sight
        monkeypatch.setattr(type(sight), "is_partial", lambda self, at: True)
        assert main(["delete-remote", "--yes"]) == 1
        assert recorded() == ids_of() - {min(ids_of())}


@pytest.mark.thorough
def test_a_backend_that_says_yes_and_does_not_is_not_believed(folder, make_manager, capsys) -> None:
    lying = Deviations(answers=Answers(delete=202))
    with Simulator(folder=folder / "n", name="north", deviations=lying, run_seconds=(0.0, 0.1)) as north:
        make_manager(north).run_jobs(make_rows(2), start_job, "jobs.csv")
        store_login(north)
        assert main(["delete-remote", "--yes"]) == 1
    assert recorded() == set()
    assert "2  on north: their backend said yes, and still has them" in capsys.readouterr().out


@pytest.mark.thorough
def test_what_cannot_be_deleted_is_grouped_by_reason(folder, make_manager, capsys) -> None:
    refusing = Deviations(answers=Answers(delete=405))
    with Simulator(folder=folder / "n", name="north", deviations=refusing, run_seconds=(0.0, 0.1)) as north:
        make_manager(north).run_jobs(make_rows(3), start_job, "jobs.csv")
        store_login(north)
        assert main(["delete-remote", "--yes"]) == 1
    out = capsys.readouterr().out
    assert "0 batch jobs deleted.\n" in out
    assert "NOT deleted:\n     3  on north: [405] " in out


@pytest.mark.thorough
def test_without_a_login_nothing_is_deleted_and_the_other_backend_goes_on(
    folder, north, south, make_manager, capsys
) -> None:
    make_manager(north, south).run_jobs(make_rows(8), start_job, "jobs.csv")
    store_login(south)
    assert main(["delete-remote", "--yes"]) == 1
    assert deleted_on(north) == set()
    assert deleted_on(south) == recorded() != set()
    assert "on north: no login for" in " ".join(capsys.readouterr().out.split())


@pytest.mark.thorough
def test_429_is_obeyed(campaign, monkeypatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    campaign.fail_next("DELETE", "^/jobs/", 429, "TooManyRequests", times=2, headers={"Retry-After": "7"})
    campaign.fail_next("GET", "^/jobs/north", 503, "InfrastructureBusy", headers={"Retry-After": "9"})
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(campaign) == recorded() == ids_of()
    assert max(waited) == 9.0
    assert min(one for one in waited if one >= 1) >= 7.0


@pytest.mark.thorough
def test_a_backend_that_never_answers_is_left_for_the_next_time(campaign, monkeypatch, capsys) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    campaign.fail_next("DELETE", "^/jobs/", 503, "InfrastructureMaintenance", times=1000)
    assert main(["delete-remote", "--yes"]) == 1
    assert [one for one in waited if one >= 1] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert recorded() == set()
    assert "NOT deleted:\n     6  on north: [503] InfrastructureMaintenance" in capsys.readouterr().out


@pytest.mark.thorough
def test_an_answer_that_was_lost_after_the_deletion_is_found_out(campaign, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    campaign.drop_next("DELETE", "^/jobs/", times=2, after_effect=True)
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(campaign) == recorded() == ids_of()


@pytest.mark.thorough
def test_files_that_vanish_later_are_told_by_the_next_run_and_the_row_stays_complete(
    campaign, make_manager, caplog, capsys
) -> None:
    assert main(["delete-remote", "--where", "job = 1", "--yes"]) == 0
    first_file(1).unlink()
    first_file(2).unlink()
    caplog.clear()
    make_manager(campaign).run_jobs(None, start_job, "jobs.csv")
    assert "the files of 1 finished rows are not on disk, and cannot be fetched again" in caplog.text
    assert "deleted on the backend by delete-remote: rows 1;" in caplog.text
    assert first_file(2).exists(), "that one can be fetched again"
    assert query(DATABASE, "SELECT DISTINCT status, results_status FROM jobs") == [("finished", "downloaded")]
    assert main(["download"]) == 1
    assert "row 1: not fetched: delete-remote has deleted its batch job" in capsys.readouterr().out
    assert query(DATABASE, "SELECT DISTINCT status, results_status FROM jobs") == [("finished", "downloaded")]
    missing = [f for f in audit(DATABASE, files=True).findings if f.check == "rows whose files are missing"]
    assert [one.number for one in missing] == [1]
    assert "1 of these rows cannot be fetched again" in missing[0].detail


@pytest.mark.thorough
def test_costs_that_were_not_known_are_kept(campaign) -> None:
    change("UPDATE attempt SET costs = NULL, currency = NULL WHERE job_id = 1")
    before = query(DATABASE, "SELECT job, costs FROM jobs WHERE job <> 1")
    assert main(["delete-remote", "--yes"]) == 0
    assert query(DATABASE, "SELECT costs > 0 FROM jobs WHERE job = 1") == [(1,)]
    assert query(DATABASE, "SELECT job, costs FROM jobs WHERE job <> 1") == before


@pytest.mark.thorough
def test_nothing_of_a_run_that_goes_on_is_deleted_and_all_of_it_afterwards(
    folder, north, make_manager, capsys
) -> None:
    manager = make_manager(north, parallel_jobs=2)
    handle = manager.start_job_thread(start_job=start_job, job_db=_begin_job_db(200))
    try:
        complete = "SELECT count(*) FROM jobs WHERE results_status = 'downloaded'"
        while not DATABASE.exists() or query(DATABASE, complete)[0][0] < 3:
            assert handle.alive
            time.sleep(0.05)
        store_login(north)
        assert main(["delete-remote", "--yes"]) == 0
        assert handle.alive, "the run was over: this tells nothing"
        out = " ".join(capsys.readouterr().out.split())
        assert "a process that runs the campaign now owns their rows" in out
        assert deleted_on(north) == recorded() == set()
    finally:
        manager.stop_job_thread(timeout_seconds=30)
    select = "SELECT id FROM attempts JOIN jobs USING (id) WHERE results_status = 'downloaded'"
    left = {one for (one,) in query(DATABASE, f"{select} AND hook_returned_at IS NOT NULL")}
    assert main(["delete-remote", "--yes"]) == 0
    assert deleted_on(north) == recorded() == left != set()


def _begin_job_db(rows: int) -> Path:
    create_job_db("jobs.csv", make_rows(rows))
    return Path("jobs.csv")


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_what_is_killed_in_the_middle_goes_on(folder, make_simulator, make_manager) -> None:
    slow = [Fault(endpoint="DELETE /jobs/{job_id}", kind="wait", seconds=(0.1, 0.2))]
    north = make_simulator(folder / "n", name="north", faults=slow)
    make_manager(north, parallel_jobs=20).run_jobs(make_rows(40), start_job, "jobs.csv")
    foreign = {connect_to(north)().create_job(PROCESS).job_id for _ in range(3)}
    store_login(north)
    for goal in (5, 15, 25):
        process = subprocess.Popen([sys.executable, "-m", "openeo_jobs.cli", "delete-remote", "--yes"])
        deadline = time.monotonic() + 60
        while len(deleted_on(north)) < goal:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        time.sleep(0.3)  # what was sent takes effect
        assert recorded() <= deleted_on(north), "nothing is recorded that was not done"
    assert main(["delete-remote", "--yes"]) == 0
    assert recorded() == deleted_on(north) == ids_of()
    assert not foreign & deleted_on(north)
    deletions = [one.batch_job_id for one in north.requests("DELETE") if one.status == 204]
    assert len(deletions) == len(set(deletions)) == 40
