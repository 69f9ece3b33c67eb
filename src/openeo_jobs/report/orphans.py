"""The screen of `openeo-jobs orphans`: batch jobs that no row uses, and what can be done with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openeo_jobs.report.commands import Commands
from openeo_jobs.report.figures import count, wrap
from openeo_jobs.storage.orphans import Orphan


def draw_orphans(orphans: Sequence[Orphan], *, commands: Commands) -> list[str]:
    """Draw the screen."""
    if not orphans:
        return ["No orphans: every batch job that is known is that of a row."]
    width = max(9, *(len(one.batch_job_id) for one in orphans))
    names = max(7, *(len(one.backend_name) for one in orphans))
    first = orphans[0]
    return [
        *wrap(
            f"{count(len(orphans), 'orphan')}: batch jobs that were created for a row, and that no row "
            "uses. None of them is started by a run."
        ),
        "",
        f" {'row':>6}  {'backend':<{names}}  {'batch job':<{width}}  last seen   comes from",
        *(_draw(one, names=names, width=width) for one in orphans),
        "",
        "Make one that of its row, or be told of it no more:",
        f"> {commands.adopt('--row', first.row, '--id', first.batch_job_id)}",
        f"> {commands.orphans('--foreign', first.batch_job_id)}",
        *_draw_deletion(orphans, commands),
    ]


def make_orphans_document(orphans: Sequence[Orphan], *, database: Path) -> dict[str, object]:
    """Make the document of `orphans --json`."""
    return {
        "database": str(database),
        "orphans": [
            {
                "row": one.row,
                "backend_name": one.backend_name,
                "id": one.batch_job_id,
                "tag": one.tag,
                "seen_status": one.seen_status,
                "was_started": one.was_started,
                "was_unknown": one.found_at is not None,
            }
            for one in orphans
        ],
    }


def _draw_deletion(orphans: Sequence[Orphan], commands: Commands) -> list[str]:
    inert = sum(one.is_inert for one in orphans)
    if not inert:
        return []
    return [
        f"Delete on their backends what was never started ({inert}):",
        f"> {commands.orphans('--delete')}",
    ]


def _draw(one: Orphan, *, names: int, width: int) -> str:
    origin = "unknown request" if one.found_at is not None else "a request of ours"
    word = one.seen_status or ("started" if one.was_started else "-")
    return f" {one.row:>6}  {one.backend_name:<{names}}  {one.batch_job_id:<{width}}  {word:<10}  {origin}"
