"""The rules of the house that a program can check; every exception is written down here, with its reason."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from openeo_jobs.status import JobStatus
from openeo_jobs.storage.migrate import find_scripts

HOUSE = Path(__file__).parents[1] / "src" / "openeo_jobs"
FILES = sorted(path.relative_to(HOUSE).as_posix() for path in HOUSE.rglob("*.py"))
MIGRATIONS = sorted(find_scripts().rglob("*.py"))

MANAGER = (
    *("manager", "arguments", "background", "connecting", "defaults", "layout", "running"),
    *("subclassing", "user_code"),
)
"""One layer in several files, which import each other: the documented API and what it is made of."""
LAYERS = (
    ("errors",),
    ("status",),
    ("jobs", "assets", "history"),
    ("tables",),
    ("policy",),
    ("storage", "backends"),
    ("tracking", "frames"),
    ("campaign",),
    ("report",),
    (*MANAGER, "job_db", "auditing", "canceling", "simulator", "testing"),
    ("downloading",),
    ("cli",),
)
"""From bottom to top (design.md, section 2)."""

ONLY_IN = {
    "sqlalchemy": ("storage/",),
    "alembic": ("storage/",),
    "openeo": (
        "backends/",
        "manager.py",
        "defaults.py",
        "connecting.py",
        "user_code.py",
        "arguments.py",
        "job_db.py",
    ),
    "pandas": (
        "frames/",
        "manager.py",
        "campaign/",
        "subclassing.py",
        "job_db.py",
    ),
    "geopandas": ("frames/",),
    "numpy": ("frames/",),
    "starlette": ("simulator/",),
    "uvicorn": ("simulator/",),
    "rich": ("cli/", "report/"),
}
READ_THE_CLOCK = (
    *("tracking/loop.py", "tracking/stopping.py"),  # they own time and stopping
    *("running.py", "canceling.py", "job_db.py", "cli/", "simulator/"),  # they hand it down
)
CLOCK = re.compile(
    r"\b(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|monotonic|perf_counter|sleep))\("
)

STATUS_WORDS_ALLOWED = {
    "status.py": set(JobStatus),
    "storage/schema.py": set(JobStatus),  # CHECK constraints, as the migrations spell them out
    "storage/assets.py": {"error"},  # a column
    "jobs.py": {"created"},  # an outcome of a create request
    "campaign/beginning.py": {"error"},  # an answer to on_exists
    "job_db.py": {"error"},  # an answer to on_exists
    "manager.py": {"error"},  # an answer to on_exists
    "backends/foreign.py": {"error"},  # a field of an answer
    "backends/logs.py": {"error"},  # a level of log entries
    "backends/observations.py": {"created", "queued"},  # fields of an answer: when
    "simulator/descriptions.py": {"error", "created"},  # fields of an answer
    "simulator/distortion.py": {"created"},  # a field of an answer
    "simulator/lifecycle.py": {"error"},  # a level of log entries
    "simulator/result_routes.py": {"error"},  # a link
    "report/progress.py": {"running", "queued", "submitting", "canceled", "skipped"},  # words for people
}


@cache
def parse(name: str) -> ast.Module:
    return ast.parse((HOUSE / name).read_text(encoding="utf-8"), filename=name)


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Yield every module that is imported, anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit_of(name: str) -> str:
    """Return the part of the house that a file or a module belongs to."""
    return re.split(r"[./]", name)[0]


def rank_of(unit: str) -> int:
    return next(rank for rank, units in enumerate(LAYERS) if unit in units)


def is_one_of(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)


def is_downwards(unit: str, other: str) -> bool:
    return unit == other or rank_of(other) < rank_of(unit) or (unit in MANAGER and other in MANAGER)


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__.py"])
def test_imports_point_down_only(name: str) -> None:
    ours = [module.split(".")[1] for module in imports_of(parse(name)) if module.startswith("openeo_jobs.")]

    known = {unit for units in LAYERS for unit in units}
    assert [other for other in ours if other in known and not is_downwards(unit_of(name), other)] == []
    assert [other for other in ours if other not in known and other != "__version__"] == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    found = {name for name in FILES if package in {unit_of(module) for module in imports_of(parse(name))}}

    assert {name for name in found if not is_one_of(name, ONLY_IN[package])} == set()


def test_only_those_who_own_the_clock_read_it() -> None:
    found = {name for name in FILES if CLOCK.search((HOUSE / name).read_text(encoding="utf-8"))}

    assert {name for name in found if not is_one_of(name, READ_THE_CLOCK)} == set()


@pytest.mark.parametrize("name", FILES)
def test_a_file_stays_under_300_lines(name: str) -> None:
    assert len((HOUSE / name).read_text(encoding="utf-8").splitlines()) < 300


@pytest.mark.parametrize("name", FILES)
def test_the_body_of_a_function_stays_under_40_lines(name: str) -> None:
    functions = [
        node for node in ast.walk(parse(name)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert [function.name for function in functions if length_of(function) >= 40] == []


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", FILES)
def test_a_file_begins_with_what_is_in_it(name: str) -> None:
    docstring = ast.get_docstring(parse(name))

    assert docstring is not None
    assert docstring.splitlines()[0].endswith((".", ":", "?"))


def test_migrations_begin_with_what_they_do() -> None:
    assert all(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in MIGRATIONS)


@pytest.mark.parametrize("name", FILES)
def test_no_status_is_written_as_a_string(name: str) -> None:
    words = {
        node.value
        for node in ast.walk(parse(name))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in set(JobStatus)
    }

    assert words - STATUS_WORDS_ALLOWED.get(name, set()) == set()


def test_nothing_is_left_to_do() -> None:
    texts = {
        path: path.read_text(encoding="utf-8") for path in [*(HOUSE / name for name in FILES), *MIGRATIONS]
    }

    assert [path for path, text in texts.items() if re.search(r"\b(TODO|FIXME|XXX)\b", text)] == []


@pytest.mark.parametrize(
    "name", [name for name in FILES if "__all__" in (HOUSE / name).read_text(encoding="utf-8")]
)
def test_public_names_can_be_imported(name: str) -> None:
    dotted = name.removesuffix(".py").removesuffix("__init__").rstrip("/").replace("/", ".")
    module = import_module(f"openeo_jobs.{dotted}" if dotted else "openeo_jobs")

    assert module.__all__
    assert [public for public in module.__all__ if not hasattr(module, public)] == []


@pytest.mark.parametrize(
    "module", ["openeo_jobs", "openeo_jobs.status", "openeo_jobs.storage.store", "openeo_jobs.cli"]
)
def test_openeo_and_pandas_are_not_paid_for_where_they_are_not_needed(module: str) -> None:
    code = f"import sys, {module}; print(*{{'openeo', 'pandas', 'numpy'}} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert finished.stdout.split() == []


def test_the_names_of_test_files_differ() -> None:
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]

    assert len(names) == len(set(names))
