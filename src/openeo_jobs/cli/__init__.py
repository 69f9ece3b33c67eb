"""What people type: `openeo-jobs`, its commands, and how it ends: 0 fine, 1 error, 2 wrong usage."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from openeo_jobs.cli.arguments import make_parser
from openeo_jobs.errors import OpenEOJobsError, UsageError

FINE, ERROR, WRONG_USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; return the exit code."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    if "module" not in given:
        parser.print_help()
        return FINE
    try:
        # Only what the command needs is imported: `import openeo` takes over a second.
        return int(import_module(given.module).run(given))
    except UsageError as error:
        return _complain(error, WRONG_USAGE)
    except (OpenEOJobsError, OSError) as error:
        return _end_of_pipe() if isinstance(error, BrokenPipeError) else _complain(error, ERROR)
    except KeyboardInterrupt:
        return ERROR


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"openeo-jobs: {error}\n")
    return code


def _end_of_pipe() -> int:
    """End quietly where the reader has seen enough (`openeo-jobs failures | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FINE
