"""Notice orphans in listings: batch jobs with a tag of this campaign that no row waits for."""

from __future__ import annotations

from collections.abc import Sequence

from openeo_jobs.jobs import Observation
from openeo_jobs.policy.orphans import Find, Origin, sort_out
from openeo_jobs.policy.tags import find_tag
from openeo_jobs.tracking.run import Run, log


def record(run: Run, backend_name: str, batch_jobs: Sequence[Observation]) -> None:
    """Record what a listing shows of this campaign and the database did not know."""
    tags = {seen.batch_job_id: tag for seen in batch_jobs if (tag := find_tag(seen.title, run.campaign.uid))}
    seen_by_id = {seen.batch_job_id: seen for seen in batch_jobs}
    unknown = run.store.orphans.unknown(backend_name, {one: tag.text for one, tag in tags.items()})
    finds = sort_out((seen_by_id[one], tags[one], post) for one, post in unknown)
    if finds:
        strange = run.store.orphans.record(backend_name, finds, runner_id=run.runner_id, at=run.now())
        _tell(run, backend_name, finds, strange)
    run.store.orphans.record_seen(backend_name, {one: seen.status for one, seen in seen_by_id.items()})


def stop_rows(run: Run) -> None:
    """Let rows wait for a person of which a batch job exists that the database does not know."""
    stopped = run.store.orphans.stop_rows(at=run.now())
    if stopped:
        log.error(
            "%d rows wait for a person: batch jobs have their tags, and the database does not know them; a "
            "backup was restored, or the campaign copied; see: openeo-jobs status",
            stopped,
        )


def tell(run: Run) -> None:
    """Say how many orphans there are."""
    number = run.store.orphans.count()
    if number:
        log.warning("orphans, batch jobs that no row uses: %d; see: openeo-jobs orphans", number)


def _tell(run: Run, backend_name: str, finds: Sequence[Find], strange: Sequence[Find]) -> None:
    for find in finds:
        if find.origin is not Origin.STRAY:
            log.warning(
                "row %d: %s on %s is one batch job too many (%s)",
                *(find.tag.row, find.seen.batch_job_id, backend_name, find.origin),
            )
    if strange:
        run.log_once(
            ("strange", backend_name),
            "%s: %d batch jobs with this campaign's tag are of rows that it does not have (%s, ...); "
            "see: openeo-jobs audit",
            *(backend_name, len(strange), strange[0].seen.batch_job_id),
        )
