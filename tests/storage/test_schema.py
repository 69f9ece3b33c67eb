"""Tables and migrations say the same; no SQL is newer than the oldest SQLite that will do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from storage_lifecycle import live_a_whole_life
from storage_tools import is_dead, run_sql, scripts_with, watched_statements

import openeo_jobs
from openeo_jobs.jobs import Outcome, ResultsStatus
from openeo_jobs.status import JobStatus
from openeo_jobs.storage import migrate
from openeo_jobs.storage.schema import OUTCOME_WORDS, RESULTS_WORDS, STATUS_WORDS, metadata

NEWER_THAN_3_34 = re.compile(
    r"\bRETURNING\b|\bDROP\s+COLUMN\b|\bSTRICT\b|->>?|\bIS\s+(NOT\s+)?DISTINCT\s+FROM\b"
    r"|\b(RIGHT|FULL)\s+(OUTER\s+)?JOIN\b|\bMATERIALIZED\b|\bUNIXEPOCH\b|\bJSONB\b|\bTIMEDIFF\b"
    r"|\b(FORMAT|CONCAT|CONCAT_WS|STRING_AGG|OCTET_LENGTH|CEIL|FLOOR|SQRT|POW|LN|MOD)\s*\(",
    re.IGNORECASE,
)


def normalised_schema(path: Path) -> dict[str, str]:
    rows = run_sql(
        path,
        "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL"
        " AND name <> 'alembic_version'",
    )
    return {name: _normalise(text) for name, text in rows}


def _normalise(text: str) -> str:
    """Make the order of columns and constraints, white space and quotes irrelevant, and nothing else.

    A column that is added to a table is stored behind its constraints.
    """
    flat = re.sub(r"\s+", " ", text).replace('"', "").strip()
    head, _, rest = flat.partition("(")
    body, _, tail = rest.rpartition(")")
    parts = re.split(r",(?![^(]*\))", body)
    return f"{head.strip()} ({sorted(part.strip() for part in parts)}) {tail.strip()}"


def test_tables_and_migrations_make_the_same_schema(tmp_path: Path) -> None:
    migrate.create(tmp_path / "migrated.sqlite")
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(tmp_path / "tables.sqlite")))
    metadata.create_all(engine)
    engine.dispose()

    migrated = normalised_schema(tmp_path / "migrated.sqlite")
    assert normalised_schema(tmp_path / "tables.sqlite") == migrated
    assert len(migrated) == 11 + 9


def test_a_new_database_has_no_broken_reference(path: Path) -> None:
    migrate.create(path)

    assert run_sql(path, "PRAGMA foreign_key_check") == []
    assert run_sql(path, "PRAGMA integrity_check") == [("ok",)]


def test_the_migrations_have_one_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.find_scripts()))
    config.set_main_option("path_separator", "os")

    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


def test_the_words_of_the_constraints_are_those_of_the_enums() -> None:
    assert set(STATUS_WORDS) == {*JobStatus}
    assert set(RESULTS_WORDS) == {*ResultsStatus}
    assert set(OUTCOME_WORDS) == {*Outcome}


def test_migrations_import_nothing_of_ours() -> None:
    for script in (migrate.find_scripts() / "versions").glob("*.py"):
        for node in ast.walk(ast.parse(script.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.partition(".")[0] == "openeo_jobs"], script


def test_no_executed_sql_is_newer_than_the_oldest_sqlite(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sqlite3.dbapi2.sqlite_version_info", (3, 34, 0)
    )  # SQLAlchemy asks it what it may use
    with watched_statements() as seen:
        live_a_whole_life(path)
        scripts = scripts_with(tmp_path, 'op.execute("ALTER TABLE job ADD COLUMN note TEXT")')
        migrate.upgrade(path, is_dead=is_dead, scripts=scripts)

    assert len({statement for statement, _ in seen}) > 100
    assert [statement for statement, _ in seen if NEWER_THAN_3_34.search(statement)] == []


def test_no_stored_sql_is_newer_than_the_oldest_sqlite(lived: Path) -> None:
    texts = [text for (text,) in run_sql(lived, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    assert len(texts) > 35
    assert [text for text in texts if NEWER_THAN_3_34.search(text)] == []


def test_no_written_sql_is_newer_than_the_oldest_sqlite() -> None:
    sources = [*(Path(openeo_jobs.__file__).parent / "storage").glob("*.py")]
    sources += [*migrate.find_scripts().rglob("*.py")]

    assert len(sources) > 15
    texts = [text for source in sources for text in strings_of(source)]
    assert [text for text in texts if NEWER_THAN_3_34.search(text)] == []


@pytest.mark.parametrize(
    "newer",
    [
        "INSERT INTO job (id) VALUES (1) RETURNING id",
        "SELECT a ->> '$.b' FROM job",
        "CREATE TABLE a (b) STRICT",
        "ALTER TABLE job DROP COLUMN note",
        "SELECT 1 WHERE 1 IS DISTINCT FROM 2",
    ],
)
def test_newer_sql_is_found(newer: str) -> None:
    assert NEWER_THAN_3_34.search(newer)


def strings_of(source: Path) -> Iterator[str]:
    """Yield every string of a source file that is not a docstring."""
    tree = ast.parse(source.read_text())
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_a_whole_life_leaves_a_sound_database(lived: Path) -> None:
    assert run_sql(lived, "PRAGMA integrity_check") == [("ok",)]
    assert run_sql(lived, "PRAGMA foreign_key_check") == []
