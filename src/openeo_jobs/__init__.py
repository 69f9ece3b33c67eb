"""Run thousands of openEO batch jobs on several backends, for days or weeks, and lose none of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openeo_jobs.auditing import audit
    from openeo_jobs.canceling import cancel
    from openeo_jobs.downloading import download
    from openeo_jobs.job_db import SqlJobDatabase, create_job_db, get_job_db
    from openeo_jobs.manager import MultiBackendJobManager
    from openeo_jobs.status import JobStatus

    __version__: str

__all__ = [
    "JobStatus",
    "MultiBackendJobManager",
    "SqlJobDatabase",
    "__version__",
    "audit",
    "cancel",
    "create_job_db",
    "download",
    "get_job_db",
]

_HOMES = {
    "JobStatus": "openeo_jobs.status",
    "MultiBackendJobManager": "openeo_jobs.manager",
    "SqlJobDatabase": "openeo_jobs.job_db",
    "audit": "openeo_jobs.auditing",
    "cancel": "openeo_jobs.canceling",
    "create_job_db": "openeo_jobs.job_db",
    "download": "openeo_jobs.downloading",
    "get_job_db": "openeo_jobs.job_db",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562): `import openeo` takes over a second."""
    if name == "__version__":
        return import_module("importlib.metadata").version("openeo-jobs")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
