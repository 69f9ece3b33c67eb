"""What the demonstration says while it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from openeo_jobs.jobs import Backend, ErrorClass
from openeo_jobs.report.commands import Commands
from openeo_jobs.report.rehearsal import (
    Moment,
    draw_interruption,
    draw_next,
    draw_progress,
    draw_summary,
    list_events,
    make_moment,
)
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.reports import BackendReport, FailureGroup, Overview

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)


def make_overview(*, waiting: int = 10, failed: int = 0, reason: str | None = None) -> Overview:
    """Make the overview of ten rows on one backend, which pauses for *reason*."""
    backend = Backend(
        name="south",
        paused_class=ErrorClass.TRANSIENT if reason else None,
        paused_reason=reason,
        retry_at=NOW,
    )
    by_status = {JobStatus.NOT_STARTED: waiting - failed, JobStatus.ERROR: failed}
    report = BackendReport(
        backend=backend,
        by_status=by_status,
        slots_held=0,
        rows=10,
        complete=0,
        failed=failed,
        attempts=0,
        mean_run_seconds=None,
    )
    return Overview(
        uid="abcdef",
        created_at=NOW,
        rows=10,
        by_status=by_status,
        by_results={},
        by_user_status={},
        by_hook={},
        backends=[report],
        costs=[],
        runner=None,
        runners=[],
        orphans=[],
        stranded=[],
        unsettled=0,
        needs_person=[],
        hook_errors=[],
        download_errors=[],
        assets=0,
        assets_size=0,
    )


def make_group(*rows: int, key: str = "boom") -> FailureGroup:
    return FailureGroup(
        key=key,
        error_class="remote error",
        message="boom " * 30,
        rows=rows,
        by_backend={"south": len(rows)},
        first_at=NOW,
        last_at=NOW,
        http_status=None,
        costs={},
    )


def tell(*looks: tuple[float, Overview, list[FailureGroup]]) -> list[str]:
    """Return the events of several looks, one after the other."""
    before: Moment | None = None
    events = []
    for seconds, overview, groups in looks:
        after = make_moment(overview, groups, before=before, seconds=seconds)
        events += list_events(before, after)
        before = after
    return events


def test_a_row_that_failed_is_told_once_and_in_one_line() -> None:
    first, second = tell(
        (1.0, make_overview(), []),
        (2.0, make_overview(failed=1), [make_group(7)]),
        (3.0, make_overview(failed=2), [make_group(7, 9)]),
    )
    assert first.startswith("   2.0 s  row 7 remote error: boom")
    assert second.startswith("   3.0 s  row 9 ")
    assert (len(first), first[-3:]) == (80, "...")


def test_a_failure_whose_reason_is_not_fetched_yet_waits() -> None:
    assert tell((1.0, make_overview(failed=1), [make_group(7, key="")])) == []


def test_a_backend_that_comes_back_for_a_moment_is_not_back() -> None:
    up, down = make_overview(), make_overview(reason="[503] busy")
    events = tell((1, up, []), (2, down, []), (3, up, []), (4, down, []), (5, up, []), (6, up, []))
    assert events == [
        "   2.0 s  south paused, its rows wait: [503] busy",
        "   6.0 s  south is back after 2 s",
    ]


def test_the_time_left_is_told_only_once_it_can_be_measured() -> None:
    early = make_moment(make_overview(failed=1), [], before=None, seconds=5)
    late = make_moment(make_overview(failed=5), [], before=None, seconds=5)
    assert "left" not in draw_progress(early)[-1]
    assert draw_progress(late)[-1].endswith("5 of 10   5 s, about 5 s left")


def test_every_line_of_the_end_fits_80_columns() -> None:
    overview, folder = make_overview(failed=3), Path("openeo-jobs-demo-10")
    lines = [
        *draw_summary(overview, seconds=21.44, folder=folder),
        *draw_next(overview, folder=folder, python="python", commands=Commands()),
    ]
    assert "0 of 10 rows complete in 21.4 s; 3 failed." in lines
    assert all(len(line) <= 80 for line in lines)


def test_an_interruption_says_how_to_go_on() -> None:
    lines = draw_interruption(make_overview(), folder=Path("demo"), python="python3")
    assert lines[-1] == "Go on with: cd demo && python3 campaign.py"
    assert draw_interruption(None, folder=Path("demo"), python="python3")[-1] == lines[-1]
