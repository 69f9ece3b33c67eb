"""What becomes of what people and other managers write into rows: through files, or an interface."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from openeo_jobs.jobs import Job
from openeo_jobs.status import ACTIVE, FINAL, POLLED, JobStatus, upstream_word
from openeo_jobs.tables import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What somebody has written is not taken over, and why."""

    job: Job
    reason: str

    def describe(self) -> str:
        """Say which row it is, and why."""
        return f"row {self.job.number} {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The row goes back in line, for another backend if one is named."""

    job: Job
    pinned_backend: str | None = None


def may_change_cells(job: Job) -> bool:
    """Say whether a row may get other cells: not while they are computed, nor when they were."""
    return job.status not in ACTIVE and job.status is not JobStatus.FINISHED


def word_of(job: Job) -> str:
    """Return the status word that users and openEO's own manager read."""
    return job.user_status or upstream_word(job.status)


def judge_written(written: Written, now: Job) -> Refusal | None:
    """Say why what was written into a row is refused, as the row is *now*; None: it is taken over."""
    old, new = written.job, written.tracked
    has_status = "status" in written.columns
    reason = None
    if now.status is JobStatus.SUBMITTING:
        reason = "is being created, or it is not known yet whether it was; nothing is changed meanwhile"
    elif (
        written.is_outdated
        or (written.columns and _attempt_of(now) != _attempt_of(old))
        or (has_status and _words_of(now) not in (_words_of(old), (new.status, new.user_status)))
    ):
        reason = _has_moved(old, now)
    elif has_status and new.status in POLLED and not (new.batch_job_id and new.backend_name):
        missing = "backend_name" if new.batch_job_id else "id"
        reason = f"cannot be {new.status.value!r} without {missing}"
    elif new.status is JobStatus.NOT_STARTED and "id" in written.columns and new.batch_job_id:
        reason = f"cannot have the id {new.batch_job_id} while it is {new.status.value!r}"
    return Refusal(job=now, reason=reason) if reason is not None else None


def _words_of(job: Job) -> tuple[JobStatus, str | None]:
    return job.status, job.user_status


def _has_moved(old: Job, now: Job) -> str:
    return f"has moved since it was read: it was {word_of(old)!r}, and is {word_of(now)!r} now"


def is_new_attempt(written: Written, now: Job) -> bool:
    """Say whether what was written is of another attempt than the row's latest one."""
    if now.attempt is None:
        return True
    has_other_id = "id" in written.columns and written.tracked.batch_job_id is not None
    return has_other_id and (now.batch_job_id is not None or now.status in FINAL)


def judge_edit(
    job: Job, cells: Mapping[str, str], *, words_then: Collection[str], is_settled: bool
) -> Retry | Refusal | None:
    """Say what an edited row of a mirror means, from those of its documented *cells* that differ.

    *words_then* are the status words that the mirror may have shown when it was last written: a row that
    still reads so was not edited. *is_settled*: nothing has happened to the row since.
    """
    word = cells.get("status", "").strip().casefold()
    if word and word not in words_then:
        return _judge_word(job, word, cells, has_moved=upstream_word(job.status) not in words_then)
    others = sorted(set(cells) - {"status"})
    if others and is_settled:
        return Refusal(job=job, reason=f"keeps its {', '.join(others)}: a file cannot change it")
    return None


def _judge_word(job: Job, word: str, cells: Mapping[str, str], *, has_moved: bool) -> Retry | Refusal:
    if word != JobStatus.NOT_STARTED:
        return Refusal(job=job, reason=f"stays {word_of(job)!r}: a file cannot make it {word!r}")
    if job.status in ACTIVE:
        return Refusal(job=job, reason=f"is {word_of(job)!r}: an active row is never reset by a file")
    if has_moved:
        return Refusal(job=job, reason=f"has moved since the file was written: it is {word_of(job)!r} now")
    return Retry(job=job, pinned_backend=cells.get("backend_name") or None)


def _attempt_of(job: Job) -> int | None:
    return job.attempt.id if job.attempt is not None else None
