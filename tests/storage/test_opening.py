"""New, older, newer and foreign files: made, upgraded, or refused and left as they are."""

from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from storage_tools import (
    HEAD,
    NEXT,
    NOW,
    Judge,
    begin_runner,
    campaign_at,
    dump,
    is_alive,
    is_dead,
    make_new_job,
    make_tiles,
    run_at_once,
    run_sql,
    scripts_with,
)

from openeo_jobs.errors import (
    CampaignInUseError,
    DatabaseError,
    NotACampaignError,
    SchemaOutdatedError,
    SchemaTooNewError,
    SqliteTooOldError,
)
from openeo_jobs.storage import migrate
from openeo_jobs.storage.database import check_sqlite
from openeo_jobs.storage.store import open_store, open_store_for_run

ADD_NOTE = 'op.execute("ALTER TABLE job ADD COLUMN note TEXT")'
FAILS_IN_THE_MIDDLE = """\
op.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)")
    op.execute("UPDATE job SET params = '[1]'")
    op.execute("DROP TRIGGER job_kept")
    raise RuntimeError("the power is gone")"""


def upgrade_by_a_run(path: Path, scripts: Path, judge: Judge) -> None:
    open_store_for_run(path, is_dead=judge, scripts=scripts).close()


def upgrade_by_command(path: Path, scripts: Path, judge: Judge) -> None:
    migrate.upgrade(path, is_dead=judge, scripts=scripts)


UPGRADES = pytest.mark.parametrize("upgrade", [upgrade_by_a_run, upgrade_by_command])
Upgrade = Callable[[Path, Path, Judge], None]


def listing(path: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in path.parent.iterdir() if p.is_file()}


def test_a_new_database_is_made_by_migrations(path: Path) -> None:
    open_store_for_run(path, is_dead=is_dead).close()

    assert migrate.read_revision(path) == HEAD
    assert path.read_bytes()[68:72] == b"oejb"


def test_only_its_owner_can_read_a_database_and_its_backup(tmp_path: Path, path: Path) -> None:
    open_store_for_run(path, is_dead=is_dead).close()
    backup = migrate.upgrade(path, is_dead=is_dead, scripts=scripts_with(tmp_path, ADD_NOTE))

    assert backup is not None
    assert {stat.S_IMODE(each.stat().st_mode) for each in (path, backup)} == {0o600}


def test_nothing_is_left_beside_a_new_database(path: Path) -> None:
    open_store_for_run(path, is_dead=is_dead).close()

    assert list(listing(path)) == ["jobs.sqlite"]


def test_nothing_is_left_of_a_database_that_could_not_be_made(tmp_path: Path, path: Path) -> None:
    with pytest.raises(RuntimeError):
        migrate.create(path, scripts=scripts_with(tmp_path, FAILS_IN_THE_MIDDLE))

    assert not listing(path)


def test_a_reading_command_does_not_make_a_database(path: Path) -> None:
    with pytest.raises(DatabaseError, match="does not exist"):
        open_store(path)

    assert not listing(path)


def test_processes_that_make_the_same_database_make_one(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from openeo_jobs.storage.migrate import create\n"
        "print('ready', flush=True); input(); create(Path(sys.argv[1]))"
    )
    run_at_once(code, [[str(path)]] * 2)

    migrate.verify(path)
    assert list(listing(path)) == ["jobs.sqlite"]


@UPGRADES
def test_an_older_database_is_upgraded(tmp_path: Path, path: Path, upgrade: Upgrade) -> None:
    with campaign_at(path, make_tiles(3)):
        pass
    upgrade(path, scripts_with(tmp_path, ADD_NOTE), is_dead)

    assert migrate.read_revision(path) == NEXT
    assert run_sql(path, "SELECT id, status, note FROM job") == [(n, "not_started", None) for n in (1, 2, 3)]


@UPGRADES
def test_an_upgrade_leaves_a_copy_of_the_older_database(tmp_path: Path, path: Path, upgrade: Upgrade) -> None:
    with campaign_at(path, make_tiles(3)):
        pass
    before = dump(path)
    upgrade(path, scripts_with(tmp_path, ADD_NOTE), is_dead)

    assert dump(path.with_name(f"jobs.sqlite.backup-{HEAD}")) == before


def test_an_upgrade_does_not_overwrite_a_copy(tmp_path: Path, path: Path) -> None:
    with campaign_at(path, make_tiles(3)):
        pass
    kept = path.with_name(f"jobs.sqlite.backup-{HEAD}")
    kept.write_text("mine")
    backup = migrate.upgrade(path, is_dead=is_dead, scripts=scripts_with(tmp_path, ADD_NOTE))

    assert backup == path.with_name(f"jobs.sqlite.backup-{HEAD}-2")
    assert kept.read_text() == "mine"


@UPGRADES
def test_no_upgrade_while_another_runner_is_alive(tmp_path: Path, path: Path, upgrade: Upgrade) -> None:
    with campaign_at(path, make_tiles(3)) as store:
        begin_runner(store, command="python campaign.py", pid=4711, host="node7")
    before = listing(path)

    with pytest.raises(CampaignInUseError, match=r"python campaign\.py.*4711.*node7"):
        upgrade(path, scripts_with(tmp_path, ADD_NOTE), is_alive)
    assert listing(path) == before


def test_a_current_database_is_not_upgraded(path: Path) -> None:
    open_store_for_run(path, is_dead=is_dead).close()
    before = listing(path)

    assert migrate.upgrade(path, is_dead=is_dead) is None
    assert listing(path) == before


def test_a_reading_command_refuses_an_older_database_with_the_command_to_type(
    tmp_path: Path, path: Path
) -> None:
    open_store_for_run(path, is_dead=is_dead).close()
    before = listing(path)

    expected = f"{path} has schema revision {HEAD}, but {NEXT} is needed; run: openeo-jobs db upgrade {path}"
    with pytest.raises(SchemaOutdatedError) as caught:
        open_store(path, scripts=scripts_with(tmp_path, ADD_NOTE))
    assert str(caught.value) == expected
    assert listing(path) == before


def test_a_migration_finds_no_view_in_its_way_and_the_views_are_made_again(
    tmp_path: Path, path: Path
) -> None:
    with campaign_at(path, [make_new_job("T0", 7)], columns=["tile", "depth"]):
        pass
    scripts = scripts_with(
        tmp_path,
        "select = \"SELECT count(*) FROM sqlite_master WHERE type = 'view'\"\n"
        "    assert op.get_bind().exec_driver_sql(select).scalar() == 0",
    )
    migrate.upgrade(path, is_dead=is_dead, scripts=scripts)

    assert run_sql(path, "SELECT job, tile, depth, status FROM jobs") == [(1, "T0", 7, "not_started")]
    assert len(run_sql(path, "SELECT name FROM sqlite_master WHERE type = 'view'")) == 7


def test_a_failing_migration_changes_nothing(tmp_path: Path, path: Path) -> None:
    with campaign_at(path, make_tiles(3)):
        pass
    before = dump(path)

    with pytest.raises(RuntimeError):
        migrate.upgrade(path, is_dead=is_dead, scripts=scripts_with(tmp_path, FAILS_IN_THE_MIDDLE))
    assert dump(path) == before


def test_a_database_whose_upgrade_failed_can_still_be_used(tmp_path: Path, path: Path) -> None:
    with campaign_at(path, make_tiles(3)):
        pass
    with pytest.raises(RuntimeError):
        migrate.upgrade(path, is_dead=is_dead, scripts=scripts_with(tmp_path, FAILS_IN_THE_MIDDLE))

    with open_store_for_run(path, is_dead=is_dead) as store:
        assert len(store.claims.claim(runner_id=begin_runner(store), caps={"north": 2}, at=NOW)) == 2


def test_a_migration_that_breaks_references_changes_nothing(tmp_path: Path, path: Path) -> None:
    with campaign_at(path, make_tiles(3)) as store:
        store.claims.claim(runner_id=begin_runner(store), caps={"north": 2}, at=NOW)
    before = dump(path)

    with pytest.raises(DatabaseError, match="breaks references"):
        migrate.upgrade(
            path, is_dead=is_dead, scripts=scripts_with(tmp_path, 'op.execute("DELETE FROM runner")')
        )
    assert dump(path) == before


@pytest.mark.parametrize(
    "open_it",
    [
        open_store,
        lambda path: open_store_for_run(path, is_dead=is_dead),
        lambda path: migrate.upgrade(path, is_dead=is_dead),
    ],
    ids=["read", "run", "upgrade"],
)
class TestRefused:
    def test_a_newer_database_is_left_untouched(self, path: Path, open_it: Callable[[Path], object]) -> None:
        open_store_for_run(path, is_dead=is_dead).close()
        run_sql(path, "UPDATE alembic_version SET version_num = '9999'")
        before = listing(path)

        with pytest.raises(
            SchemaTooNewError, match=rf"revision 9999.*revision {HEAD}.*pip install --upgrade"
        ):
            open_it(path)
        assert listing(path) == before

    def test_a_database_of_another_program_is_left_untouched(
        self, path: Path, open_it: Callable[[Path], object]
    ) -> None:
        run_sql(path, "CREATE TABLE job (id INTEGER)")
        before = listing(path)

        with pytest.raises(NotACampaignError, match="another program"):
            open_it(path)
        assert listing(path) == before

    @pytest.mark.parametrize("content", [b"", b"id,status\n1,finished\n", b"SQLite format 3"])
    def test_a_file_that_is_no_database_is_left_untouched(
        self, path: Path, open_it: Callable[[Path], object], content: bytes
    ) -> None:
        path.write_bytes(content)
        before = listing(path)

        with pytest.raises(NotACampaignError, match="not a SQLite database"):
            open_it(path)
        assert listing(path) == before

    def test_a_folder_is_refused(self, path: Path, open_it: Callable[[Path], object]) -> None:
        path.mkdir()

        with pytest.raises(NotACampaignError, match="is a folder"):
            open_it(path)


def test_a_sqlite_that_is_too_old_is_refused_with_found_needed_and_remedy() -> None:
    with pytest.raises(SqliteTooOldError, match=r"SQLite 3\.33\.0, but 3\.34\.0 or newer.*newer Python"):
        check_sqlite((3, 33, 0))


def test_the_oldest_sqlite_that_will_do_is_accepted() -> None:
    check_sqlite((3, 34, 0))


@pytest.mark.parametrize(
    "name",
    ["two words.sqlite", "a%20b.sqlite", "a#b.sqlite", "a?mode=ro.sqlite", "Zürich 調.sqlite", "100%.sqlite"],
)
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.removesuffix(".sqlite") / name
    with campaign_at(path, make_tiles(2)):
        pass
    migrate.upgrade(path, is_dead=is_dead, scripts=scripts_with(tmp_path, ADD_NOTE))

    assert sorted(listing(path)) == [name, f"{name}.backup-{HEAD}"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*), count(note) FROM job").fetchone() == (2, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="relative to a drive")
def test_a_relative_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with campaign_at(Path("jobs.sqlite"), make_tiles(2)) as store:
        assert len(store.jobs.all()) == 2
