"""The command lines that a screen tells people to type."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from openeo_jobs.jobs import Runner


@dataclass(frozen=True, slots=True)
class Commands:
    """How to type openeo-jobs here; `path` names the campaign where it does not go without saying."""

    program: str = "openeo-jobs"
    path: str | None = None

    def status(self) -> str:
        """Return the command that shows how far it is."""
        return self._join("status")

    def failures(self) -> str:
        """Return the command that shows why rows failed."""
        return self._join("failures")

    def retry(self, *options: str | int) -> str:
        """Return the command that puts rows back in line."""
        return self._join("retry", *options)

    def download(self, *options: str | int) -> str:
        """Return the command that fetches what is missing of the results."""
        return self._join("download", *options)

    def audit(self, *options: str | int) -> str:
        """Return the command that looks for what is wrong."""
        return self._join("audit", *options)

    def adopt(self, *options: str | int) -> str:
        """Return the command that makes a batch job a row's."""
        return self._join("adopt", *options)

    def orphans(self, *options: str | int) -> str:
        """Return the command that shows the batch jobs that no row uses, or does something with them."""
        return self._join("orphans", *options)

    def delete_remote(self, *options: str | int) -> str:
        """Return the command that deletes batch jobs on their backends that are needed no more."""
        return self._join("delete-remote", *options)

    def _join(self, verb: str, *options: str | int) -> str:
        words = [verb, *([self.path] if self.path else []), *map(str, options)]
        return f"{self.program} {shlex.join(words)}"


def go_on(runner: Runner) -> str:
    """Return what to type to start again what *runner* was."""
    return f"cd {shlex.quote(runner.folder)} && {runner.command}"
