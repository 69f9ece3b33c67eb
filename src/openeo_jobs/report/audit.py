"""The screen of `openeo-jobs audit`: every check in one table, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openeo_jobs.policy.audit import Audit, Finding, Verdict
from openeo_jobs.policy.verification import FILES
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import count, wrap

_WORDS = {Verdict.WRONG: "WRONG"}
_INDENT = " " * 15


def draw_audit(audit: Audit, *, commands: Commands) -> list[str]:
    """Draw the screen."""
    rows, attempts, batch_jobs = audit.rows, audit.attempts, audit.batch_jobs
    return [
        f"{audit.database.name}    {count(rows, 'row')}, {count(attempts, 'attempt')}, "
        f"{count(batch_jobs, 'batch job')}",
        "",
        *_draw_findings(audit.findings),
        "",
        *_conclude(audit, commands),
    ]


def make_audit_document(audit: Audit, *, database: Path) -> dict[str, object]:
    """Make the document of `audit --json`."""
    return {
        "database": str(database),
        "rows": audit.rows,
        "attempts": audit.attempts,
        "batch_jobs": audit.batch_jobs,
        "is_wrong": audit.is_wrong,
        "is_whole": audit.is_whole,
        "findings": [
            {
                "place": finding.place,
                "check": finding.check,
                "verdict": str(finding.verdict),
                "number": finding.number,
                "detail": finding.detail,
            }
            for finding in audit.findings
        ],
    }


def _draw_findings(findings: Sequence[Finding]) -> list[str]:
    lines: list[str] = []
    place = ""
    for finding in findings:
        shown, place = ("" if finding.place == place else finding.place), finding.place
        number = f"{finding.number:,}" if finding.number is not None else ""
        word = _WORDS.get(finding.verdict, str(finding.verdict))
        lines.append(f" {shown:<11}  {finding.check:<42} {number:>9}   {word}")
        lines += wrap(finding.detail, indent=_INDENT)
    return lines


def _conclude(audit: Audit, commands: Commands) -> list[str]:
    """Say what it comes to, and what to type next."""
    wrong = [finding for finding in audit.findings if finding.verdict is Verdict.WRONG]
    if not wrong:
        if audit.is_whole:
            return ["Nothing is wrong."]
        how = commands.audit("--help")
        return [f"Nothing is wrong in what was checked. How to let it check the rest: {how}"]
    lines = [f"{count(len(wrong), 'check')} found something wrong."]
    if any(_is_about_batch_jobs(finding) for finding in wrong):
        lines.append(f"> {commands.orphans()}")
    if any(finding.place == "rows" for finding in wrong):
        lines.append(f"> {commands.status()}")
    return lines


def _is_about_batch_jobs(finding: Finding) -> bool:
    return finding.place not in ("rows", "database", FILES)
