"""Bring a database to the schema that this version needs: create, verify, upgrade."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import openeo_jobs
from openeo_jobs.errors import CampaignInUseError, DatabaseError, SchemaOutdatedError, SchemaTooNewError
from openeo_jobs.jobs import Column, Runner
from openeo_jobs.storage.database import Database, check_file, check_sqlite, create_file
from openeo_jobs.storage.rows import runner_from
from openeo_jobs.storage.schema import APPLICATION_ID, runner
from openeo_jobs.storage.views import create_views, drop_views


def find_scripts() -> Path:
    """Return the folder of the migrations: inside the wheel, or at the top of a checkout."""
    package = Path(openeo_jobs.__file__).parent
    for folder in (package / "migrations", package.parents[1] / "migrations"):
        if (folder / "env.py").exists():
            return folder
    raise DatabaseError(f"no migrations beside {package}; install openeo-jobs again")


def create(path: Path, *, scripts: Path | None = None) -> None:
    """Make a new database at *path*: whole, or not at all. One that exists meanwhile is left alone."""
    check_sqlite()
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    create_file(new)
    try:
        with closing(Database(new, journal_mode="DELETE", foreign_keys=False)) as database:
            _migrate(database, scripts or find_scripts(), is_new=True)
        _publish(new, path)
    finally:
        new.unlink(missing_ok=True)


def verify(path: Path, *, scripts: Path | None = None) -> None:
    """Raise unless *path* is a campaign of exactly the revision that this version needs; change nothing."""
    check_sqlite()
    check_file(path)
    current, known = read_revision(path), _revisions(scripts or find_scripts())
    head = known[0]
    if current == head:
        return
    if current in known:
        raise SchemaOutdatedError(
            f"{path} has schema revision {current}, but {head} is needed; run: openeo-jobs db upgrade {path}"
        )
    raise SchemaTooNewError(
        f"{path} has schema revision {current}, which this openeo-jobs {openeo_jobs.__version__} "
        f"(revision {head}) does not know; run: pip install --upgrade openeo-jobs"
    )


def upgrade(path: Path, *, is_dead: Callable[[Runner], bool], scripts: Path | None = None) -> Path | None:
    """Upgrade an older database after a backup copy beside it; return the copy, None if nothing was to do.

    *is_dead* judges a runner that has not said that it ended: while one may be alive nothing is changed.
    """
    scripts = scripts or find_scripts()
    try:
        verify(path, scripts=scripts)
    except SchemaOutdatedError:
        _refuse_live_runners(path, is_dead)
    else:
        return None
    backup = _back_up(path)
    with closing(Database(path, foreign_keys=False)) as database:
        _migrate(database, scripts, is_new=False)
    return backup


def read_revision(path: Path) -> str | None:
    """Return the revision of the database at *path*; None where there is none."""
    with closing(Database(path)) as database, database.reading() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return revision


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revisions(scripts: Path) -> list[str]:
    directory = ScriptDirectory.from_config(_config(scripts))
    return [script.revision for script in directory.walk_revisions()]


def _migrate(database: Database, scripts: Path, *, is_new: bool) -> None:
    config = _config(scripts)
    with database.writing() as connection:
        if is_new:
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        drop_views(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise DatabaseError(
                f"{database.path}: the migration breaks references ({broken[0]}); not upgraded"
            )
        create_views(connection, _stored_columns(connection))


def _stored_columns(connection: sa.Connection) -> list[Column]:
    text = connection.exec_driver_sql("SELECT columns FROM campaign").scalar()
    return [Column(**column) for column in json.loads(text)] if text else []


def _refuse_live_runners(path: Path, is_dead: Callable[[Runner], bool]) -> None:
    with closing(Database(path)) as database, database.reading() as connection:
        there = {column["name"] for column in sa.inspect(connection).get_columns(runner.name)}
        columns = [column for column in runner.c if column.name in there]
        rows = connection.execute(sa.select(*columns).where(runner.c.ended_at.is_(None))).all()
    for found in map(runner_from, rows):
        if not is_dead(found):
            raise CampaignInUseError(
                f"{path} cannot be upgraded while {found.command!r} runs it "
                f"(pid {found.pid} on {found.host}); stop that first"
            )


def _back_up(path: Path) -> Path:
    names = (f"{path.name}.backup-{read_revision(path)}{n}" for n in ("", *(f"-{i}" for i in range(2, 1000))))
    backup = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    create_file(backup)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    return backup


def _publish(new: Path, path: Path) -> None:
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            new.rename(path)
