"""How this program, and its Python, are typed in the user's shell."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def type_openeo_jobs() -> str:
    """Return `openeo-jobs`, or what works where that is not on the path."""
    script = shutil.which("openeo-jobs", path=str(_folder()))
    if script is None:
        return "openeo-jobs" if shutil.which("openeo-jobs") else f"{type_python()} -m openeo_jobs.cli"
    return "openeo-jobs" if _is_found("openeo-jobs") else shlex.quote(script)


def type_python() -> str:
    """Return `python`, or what works where that is another Python than this one."""
    names = ("python", Path(sys.executable).name)
    return next((name for name in names if _is_found(name)), shlex.quote(sys.executable))


def _is_found(name: str) -> bool:
    """Say whether the shell finds the *name* where this Python is."""
    found = shutil.which(name)
    return found is not None and Path(found).absolute().parent == _folder()


def _folder() -> Path:
    return Path(sys.executable).absolute().parent
