"""What code written for openEO's own manager overrides and uses, beside the documented API."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pandas as pd

from openeo_jobs.errors import UsageError
from openeo_jobs.frames import OUTPUT_COLUMNS
from openeo_jobs.status import JobStatus

_ENDS = "on_job_done, on_job_error or on_job_cancel, which are called with the row as it is now"
_ROUND = "_job_update_loop(job_db, start_job, stats), which is one round"
_MISSING_PHASES = {
    "_track_statuses": f"{_ENDS}; or {_ROUND}",
    "_update_statuses": f"{_ENDS}; or {_ROUND}",
    "_launch_job": "start_job, which is called for every row; or priority and backend_name in the dataframe, "
    "which decide when and where a row goes",
    "_process_threadworker_updates": _ENDS,
    "_cancel_prolonged_job": "the argument cancel_running_job_after, and on_job_cancel",
    "_make_resilient": "add_backend(name, connection), with a connection that has your adapters",
    "_refresh_bearer_token": "add_backend(name, connection), with a callable that logs in anew",
}
"""The phases of openEO's own manager that do not exist here, and what to use instead."""

_CALLED_WITH = {
    "on_job_done": ("job", "row"),
    "on_job_error": ("job", "row"),
    "on_job_cancel": ("job", "row"),
    "get_job_dir": ("job_id",),
    "get_error_log_path": ("job_id",),
    "get_job_metadata_path": ("job_id",),
    "_job_update_loop": ("job_db", "start_job", "stats"),
}


def check_overrides(manager: object) -> None:
    """Raise `UsageError` for a subclass that overrides what would never be called, or could not be."""
    for name, instead in _MISSING_PHASES.items():
        if hasattr(manager, name):
            raise UsageError(
                f"{type(manager).__name__} overrides {name}, which does not exist here and would never be "
                f"called; use instead: {instead}"
            )
    for name, arguments in _CALLED_WITH.items():
        try:
            inspect.signature(getattr(manager, name)).bind(*arguments)
        except TypeError as error:
            raise UsageError(
                f"{type(manager).__name__}.{name} is called with {', '.join(arguments)}, and nothing else "
                f"({error}); give its other parameters a default"
            ) from error


def overrides_round(manager: object) -> bool:
    """Say whether `_job_update_loop` is the user's: it gets a job database then, not a path."""
    found = getattr(manager, "_job_update_loop", None)
    return getattr(getattr(found, "__func__", None), "__module__", None) != "openeo_jobs.manager"


class ColumnRequirements:
    """The documented columns that a frame has to have, with what they hold where nothing is known yet."""

    def __init__(self, defaults: Mapping[str, str | None]) -> None:
        self._defaults = dict(defaults)

    def __contains__(self, column: str) -> bool:
        """Say whether *column* is one of them."""
        return column in self._defaults

    def normalize_df(self, df: pd.DataFrame) -> pd.DataFrame:
        """Return *df* with those of the columns that it lacks; *df* itself stays as it is."""
        return df.assign(**{name: new for name, new in self._defaults.items() if name not in df.columns})

    def dtype_mapping(self) -> dict[str, Any]:
        """Return the dtypes for `pandas.read_csv`."""
        return {name: "float64" if name == "costs" else "str" for name in self._defaults}


COLUMN_REQUIREMENTS = ColumnRequirements(
    {name: JobStatus.NOT_STARTED.value if name == "status" else None for name in OUTPUT_COLUMNS}
)
