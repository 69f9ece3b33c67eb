"""The commands and their options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openeo_jobs
from openeo_jobs.status import ACTIVE, FINAL, JobStatus

_PATH = (
    "PATH is the database of the campaign, or its CSV. Left out, it is $OPENEO_JOBS, else jobs.sqlite here, "
    "else the only campaign in this folder."
)
_LOGINS = (
    "Backends are asked without asking you: with OPENEO_AUTH_METHOD=client_credentials and the client "
    "credentials of the environment, else with the login that openEO's client has stored."
)
_NOT_CHECKED = "One that cannot be asked reads 'not checked'."
_LOGINS_TO_CANCEL = (
    "A process that runs the campaign asks the backends. Where none does, this command does, with the logins "
    "that `openeo-jobs audit` uses, and the next run does what is left."
)
_CANCELED = [status.value for status in JobStatus if status in ACTIVE | {JobStatus.NOT_STARTED}]
_RETRIED = [status.value for status in JobStatus if status in FINAL]


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="openeo-jobs",
        description="Run thousands of openEO batch jobs on several backends, and lose none of them.",
        epilog=f"{_PATH} Every command explains itself: openeo-jobs COMMAND --help",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add(commands, "demo", "see it work: 60 rows on two simulated backends; no account, no costs")
    _add_status(commands)
    _add_failures(commands)
    _add_retry(commands)
    _add_cancel(commands)
    _add_download(commands)
    _add_adopt(commands)
    _add_orphans(commands)
    _add_audit(commands)
    _add_delete_remote(commands)
    _add_db(commands)
    _add_simulate(commands)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print it and exit."""
        sys.stdout.write(f"openeo-jobs {openeo_jobs.__version__}\n")
        parser.exit()


def _add(commands: Any, name: str, text: str, *, epilog: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog
    )
    parser.set_defaults(module=f"openeo_jobs.cli.{name.replace('-', '_')}")
    return parser


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, help="the campaign's database or CSV")


def _add_status(commands: Any) -> None:
    parser = _add(commands, "status", "how far, how much, who runs it, what needs you", epilog=_PATH)
    _add_path(parser)
    _add_json(parser)


def _add_failures(commands: Any) -> None:
    text = "why rows failed, grouped, with the command that retries"
    parser = _add(commands, "failures", text, epilog=_PATH)
    _add_path(parser)
    _add_json(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs: one JSON document, stable keys")


def _add_retry(commands: Any) -> None:
    parser = _add(commands, "retry", "put rows back in line, for a new attempt", epilog=_PATH)
    _add_path(parser)
    parser.add_argument(
        "--failure",
        metavar="N",
        type=int,
        action="append",
        default=[],
        help="the rows of reason N, as `openeo-jobs failures` numbers them; may be given several times",
    )
    _add_selection(parser, statuses=_RETRIED)
    parser.add_argument(
        "--hooks",
        action="store_true",
        help="call the hooks again that have failed, those of --row alone if given; computes nothing anew",
    )
    parser.add_argument(
        "--yes", action="store_true", help="also rows that are finished: computes them anew, for new costs"
    )


def _add_cancel(commands: Any) -> None:
    text = "stop rows, begun or not; what runs is stopped on its backend"
    parser = _add(commands, "cancel", text, epilog=f"{_PATH} {_LOGINS_TO_CANCEL}")
    _add_path(parser)
    _add_selection(parser, statuses=_CANCELED)
    parser.add_argument("--yes", action="store_true", help="cancel what is under way without asking")


def _add_download(commands: Any) -> None:
    text = "fetch the results that are missing, also of a campaign that is over"
    parser = _add(commands, "download", text, epilog=f"{_PATH} {_LOGINS}")
    _add_path(parser)
    _add_rows(parser)
    parser.add_argument(
        "--root-dir", metavar="FOLDER", type=Path, help="where folders of rows go, as in the script"
    )
    parser.add_argument(
        "--output-path", metavar="TEMPLATE", help='the folder of each row, as in the script: "{tile}"'
    )
    parser.add_argument("--assets", metavar="PATTERN", help='which files: "*.tif"')


def _add_selection(parser: argparse.ArgumentParser, *, statuses: Sequence[str]) -> None:
    parser.add_argument(
        "--status",
        metavar="S",
        choices=statuses,
        action="append",
        default=[],
        help=f"the rows with status S ({', '.join(statuses)}); may be given several times",
    )
    _add_rows(parser)


def _add_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--row", metavar="N", type=int, action="append", default=[], help="row N; may be given several times"
    )
    _add_where(parser)


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help='the rows for which an SQL condition over view jobs holds: "year = 2020 AND costs > 5"',
    )


def _add_adopt(commands: Any) -> None:
    text = "make a batch job that of a row that waits for you, or has failed"
    parser = _add(commands, "adopt", text, epilog=f"{_PATH} {_LOGINS}")
    _add_path(parser)
    parser.add_argument("--row", metavar="N", type=int, help="the row")
    parser.add_argument(
        "--id", metavar="BATCH_JOB_ID", help="the batch job; left out, the one orphan that the row has"
    )
    parser.add_argument("--backend", metavar="NAME", help="its backend, where that is not known")
    parser.add_argument(
        "--all", action="store_true", help="those of all rows that a restored backup has forgotten"
    )
    parser.add_argument("--offline", action="store_true", help="do not ask the backend whether it has it")


def _add_orphans(commands: Any) -> None:
    text = "batch jobs that were created for a row, and that no row uses"
    parser = _add(commands, "orphans", text, epilog=_PATH)
    _add_path(parser)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--adopt", metavar="ID", help="make it that of its row, as `openeo-jobs adopt` does")
    action.add_argument("--foreign", metavar="ID", nargs="+", help="leave it alone, and tell of it no more")
    action.add_argument(
        "--delete", metavar="ID", nargs="*", help="delete it on its backend; without ID all never started"
    )
    parser.add_argument("--yes", action="store_true", help="delete without asking")
    _add_json(parser)


def _add_audit(commands: Any) -> None:
    text = "is anything wrong? the database, and what the backends list; exit code 1 if so"
    parser = _add(commands, "audit", text, epilog=f"{_PATH} {_LOGINS} {_NOT_CHECKED}")
    _add_path(parser)
    parser.add_argument("--offline", action="store_true", help="ask no backend: check what is here alone")
    parser.add_argument(
        "--files", action="store_true", help="read every file of complete rows: size and SHA-256 checksum"
    )
    _add_json(parser)


def _add_delete_remote(commands: Any) -> None:
    text = "delete on the backends what is needed no more: verified rows, superseded attempts, orphans"
    parser = _add(commands, "delete-remote", text, epilog=f"{_PATH} {_LOGINS}")
    _add_path(parser)
    _add_where(parser)
    parser.add_argument(
        "--keep-failed", action="store_true", help="keep those of attempts that failed, for their logs"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--dry-run", action="store_true", help="list what would be deleted, and end")
    action.add_argument("--yes", action="store_true", help="delete without asking")


def _add_db(commands: Any) -> None:
    parser = _add(commands, "db", "look after the database: db upgrade")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    upgrade = actions.add_parser(
        "upgrade",
        help="bring an older database to this version, after a backup copy",
        description="Bring an older database to this version, after a backup copy beside it.",
        epilog=_PATH,
    )
    _add_path(upgrade)


def _add_simulate(commands: Any) -> None:
    parser = _add(commands, "simulate", "run a local openEO backend to rehearse on, until Ctrl-C")
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    add = parser.add_argument
    add("--name", default="north", help="for people, and the beginning of the ids of batch jobs")
    add("--folder", type=Path, help="where it keeps its batch jobs and its port (default: .simulator/NAME)",
        default=argparse.SUPPRESS)  # fmt: skip
    add("--port", type=int, default=0, help="of the first start; 0 takes a free one")
    add("--profile", metavar="NAME", default="specification",
        help="the kind of backend: how it differs from the openEO API, and what goes wrong")  # fmt: skip
    add("--list-profiles", action="store_true", help="list the profiles, and exit")
    add("--seed", type=int, default=0, help="the same seed makes the same batch jobs and requests fail")
    for option, default, text in (
        ("--queue-seconds", (0.0, 2.0), "how long batch jobs wait"),
        ("--run-seconds", (2.0, 10.0), "how long they run"),
    ):
        add(option, type=_seconds, nargs=2, metavar=("FROM", "TO"), default=default, help=text)
    add("--latency-seconds", type=_seconds, default=0.0, metavar="S", help="waited before every answer")
    add("--concurrent-jobs", type=int, metavar="N", default=argparse.SUPPRESS,
        help="how many batch jobs of a user may be active (default: as the profile says)")  # fmt: skip
    for option, text in (
        ("--out-of-memory", "of the rows, 0 to 1: fail until executor-memoryOverhead is 4G"),
        ("--stage-failure", "of the attempts, 0 to 1: fail without error logs"),
    ):
        add(option, type=_share, metavar="SHARE", default=argparse.SUPPRESS,
            help=f"{text} (default: as the profile says)")  # fmt: skip
    add("--unavailable", type=_seconds, nargs=2, metavar=("AFTER", "FOR"), default=argparse.SUPPRESS,
        help="answer 503 so long after the first batch job, for so long (default: never)")  # fmt: skip


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share
