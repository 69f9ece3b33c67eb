"""Which runner is logged in as whom, and which rows it may take with that."""

from __future__ import annotations

from pathlib import Path

from storage_tools import NOW, campaign_at, claim_one, create_one, is_dead, make_runner, make_tiles, run_sql

from openeo_jobs.jobs import Job
from openeo_jobs.storage.store import JobStore


def begin(store: JobStore, account: str | None, *, instead_of: int | None = None) -> int:
    """Begin a runner, after all others have ended, and log it in."""
    runner_id = store.runners.begin(make_runner(), is_dead=is_dead, at=NOW, instead_of=instead_of)
    store.logins.record(runner_id, "north", account)
    return runner_id


def reload(store: JobStore, job: Job) -> Job:
    found = store.jobs.one(job.number)
    assert found is not None
    return found


def test_one_sees_which_runner_is_logged_in_as_whom(path: Path) -> None:
    with campaign_at(path, make_tiles(1)) as store:
        for account in ("xenia", None, "yvonne"):
            begin(store, account)
        store.logins.record(3, "south", "yve")
        store.logins.record(3, "north", "yves")
    assert run_sql(
        path,
        "SELECT runner_id, backend.name, login.account FROM login "
        "JOIN backend ON backend.id = backend_id ORDER BY 1, 2",
    ) == [(1, "north", "xenia"), (2, "north", None), (3, "north", "yves"), (3, "south", "yve")]


def test_the_account_is_stored_with_the_intent(path: Path) -> None:
    with campaign_at(path, make_tiles(1)) as store:
        job = claim_one(store, begin(store, "xenia"))
        assert run_sql(path, "SELECT account FROM attempts") == [(None,)]
        store.creations.record_intent(job, backend_name="north", fingerprint="f", tag="t", at=NOW)
        assert run_sql(path, "SELECT account FROM attempts") == [("xenia",)]


def test_what_start_job_returns_unseen_is_of_the_account_that_it_was_returned_to(path: Path) -> None:
    with campaign_at(path, make_tiles(1)) as store:
        job = claim_one(store, begin(store, "xenia"))
        store.creations.choose(job, backend_name="north", batch_job_id="j-1", at=NOW)
    assert run_sql(path, "SELECT account, id FROM attempts") == [("xenia", "j-1")]


def test_a_runner_takes_only_what_its_account_can_reach(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        create_one(store, begin(store, "xenia"), "j-1")
        claim_one(store, begin(store, "yvonne"))  # ended before anything was sent
        third = begin(store, "yvonne")
        assert store.owners.take_over(third, ["north"], at=NOW) == 1
        not_told = begin(store, None)
        assert store.owners.take_over(not_told, ["north"], at=NOW) == 2
        fifth = begin(store, "xenia")
        assert store.owners.take_over(fifth, ["north"], at=NOW) == 2


def test_a_runner_that_has_not_logged_in_yet_takes_nothing_that_has_an_account(path: Path) -> None:
    with campaign_at(path, make_tiles(1)) as store:
        create_one(store, begin(store, "xenia"), "j-1")
        second = store.runners.begin(make_runner(), is_dead=is_dead, at=NOW)
        assert store.owners.take_over(second, ["north"], at=NOW) == 0
        assert store.jobs.work_left(["north"], runner_id=second).active == 1


def test_a_login_lets_go_of_rows_that_it_cannot_reach(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        runner_id = begin(store, "xenia")
        mine, unsent = create_one(store, runner_id, "j-1"), claim_one(store, runner_id)
        assert store.logins.record(runner_id, "north", "xenia") == 0
        assert store.logins.record(runner_id, "north", "yvonne") == 1
        assert (reload(store, mine).owner_id, reload(store, unsent).owner_id) == (None, runner_id)


def test_a_runner_that_comes_back_has_its_logins(path: Path) -> None:
    with campaign_at(path, make_tiles(1)) as store:
        first = begin(store, "xenia")
        create_one(store, first, "j-1")
        again = store.runners.begin(make_runner(), is_dead=is_dead, at=NOW, instead_of=first)
        assert store.owners.take_over(again, ["north"], at=NOW) == 1


def test_slots_are_counted_by_account(path: Path) -> None:
    with campaign_at(path, make_tiles(3)) as store:
        create_one(store, begin(store, "xenia"), "j-1")
        same = begin(store, "xenia")
        assert store.claims.claim(runner_id=same, caps={"north": 1}, at=NOW) == []
        other = begin(store, "yvonne")
        assert len(store.claims.claim(runner_id=other, caps={"north": 1}, at=NOW)) == 1
        assert store.jobs.count_started(other) == {}


def test_rows_are_stranded_while_nobody_of_their_account_acts_on_them(path: Path) -> None:
    with campaign_at(path, make_tiles(2)) as store:
        first = begin(store, "xenia")
        create_one(store, first, "j-1")
        store.runners.end(first, at=NOW)
        assert store.logins.stranded() == []  # nobody else has a login: whoever comes is hers
        begin(store, "yvonne")
        (stranded,) = store.logins.stranded()
        assert (stranded.backend_name, stranded.account, stranded.rows) == ("north", "xenia", 1)
        again = begin(store, "xenia")
        store.owners.take_over(again, ["north"], at=NOW)
        assert store.logins.stranded() == []


def test_attempts_of_others_are_counted(path: Path) -> None:
    with campaign_at(path, make_tiles(3)) as store:
        for account, name in (("xenia", "j-1"), ("yvonne", "j-2"), (None, "j-3")):
            create_one(store, begin(store, account), name)
        assert [store.logins.count_others("north", one) for one in ("xenia", "zoe")] == [1, 2]
        assert store.logins.count_others("south", "zoe") == 0
