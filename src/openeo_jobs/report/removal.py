"""The screens of `openeo-jobs delete-remote`: what is to be deleted, what is kept, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from openeo_jobs.policy.failure_keys import normalise_message
from openeo_jobs.policy.removal import Kept, Kind, Leftover
from openeo_jobs.report.figures import count, list_rows, wrap
from openeo_jobs.tracking.removal import Removed

_INDENT = " " * 8


def draw_plan(chosen: Sequence[Leftover], kept: Mapping[Kept, int]) -> list[str]:
    """Draw what is to be deleted, by backend and kind, and why the rest is kept."""
    if not chosen:
        return ["Nothing to delete: no batch job is needed no more.", *_draw_kept(kept)]
    names = list(dict.fromkeys(one.backend_name for one in chosen))
    width = max(len(name) for name in (*names, "backend"))
    numbers = Counter((one.backend_name, one.kind) for one in chosen)
    heads = "".join(f"  {kind:>{len(kind)}}" for kind in Kind)
    return [
        f" {'backend':<{width}}{heads}     all",
        *(_draw_backend(name, numbers, width) for name in names),
        "",
        *wrap(
            "What it costs to keep them is not known: backends do not say. The files of verified rows are "
            "read once more before their batch jobs are deleted; what is deleted cannot be fetched again."
        ),
        *_draw_kept(kept),
    ]


def list_plan(chosen: Iterable[Leftover]) -> list[str]:
    """List the batch jobs, one by one."""
    words = {Kind.VERIFIED: "verified", Kind.SUPERSEDED: "superseded attempt", Kind.ORPHAN: "orphan"}
    return [
        f" {one.backend_name}  {one.batch_job_id}  {words[one.kind]}, {list_rows(dict.fromkeys(one.rows))}"
        for one in chosen
    ]


def draw_removed(removed: Sequence[Removed], unwanted: Sequence[Removed]) -> list[str]:
    """Draw what came of it: how many are deleted, and why others are not, *unwanted* or by rule."""
    gone = sum(one.reason is None for one in removed)
    rest = [one for one in removed if one.reason is not None and one not in unwanted]
    return [
        f"{count(gone, 'batch job')} deleted.",
        *_draw_groups("Kept:", rest),
        *_draw_groups("NOT deleted:", unwanted),
    ]


def _draw_backend(name: str, numbers: Mapping[tuple[str, Kind], int], width: int) -> str:
    cells = "".join(f"  {numbers[name, kind]:>{len(kind)},}" for kind in Kind)
    return f" {name:<{width}}{cells}  {sum(numbers[name, kind] for kind in Kind):>6,}"


def _draw_kept(kept: Mapping[Kept, int]) -> list[str]:
    lines = [line for reason in Kept if kept.get(reason) for line in _draw_reason(kept[reason], reason)]
    return ["", "Kept:", *lines] if lines else []


def _draw_groups(title: str, removed: Sequence[Removed]) -> list[str]:
    """Draw batch jobs by the reason, with the first rows and the reason of the first."""
    groups: dict[tuple[str, str], list[Removed]] = {}
    for one in removed:
        key = (one.leftover.backend_name, normalise_message(str(one.reason)))
        groups.setdefault(key, []).append(one)
    lines: list[str] = []
    for (name, _), group in groups.items():
        rows = list_rows(dict.fromkeys(row for one in group for row in one.leftover.rows))
        lines += _draw_reason(len(group), f"on {name}: {group[0].reason} ({rows})")
    return ["", title, *lines] if lines else []


def _draw_reason(number: int, reason: str) -> list[str]:
    first, *more = wrap(reason, indent=_INDENT)
    return [f" {number:>5,}  {first.strip()}", *more]
