"""Questions about jobs, and whether work is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from openeo_jobs.history import StatusChange
from openeo_jobs.jobs import Job, ResultsStatus
from openeo_jobs.status import ACTIVE, ENDED, STARTED, JobStatus, upstream_word
from openeo_jobs.storage.campaigns import latest_change
from openeo_jobs.storage.claims import count_held
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.endings import is_open
from openeo_jobs.storage.logins import is_foreign
from openeo_jobs.storage.rows import SELECT_JOBS, job_from
from openeo_jobs.storage.runners import is_free, is_free_or_of
from openeo_jobs.storage.schema import attempt, backend, batch_job, campaign, job, status_change

_VARIABLES = 10_000
"""How many a statement may have; SQLite allows 32,766."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkLeft:
    """How many rows still have a way on: waiting, under way, or ended with something left to do."""

    waiting: int
    active: int
    ending: int

    def __bool__(self) -> bool:
        """Say whether any work is left."""
        return bool(self.waiting or self.active or self.ending)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """How many rows a run leaves as they are: they wait for a person, or for a backend not registered."""

    needing_person: int
    elsewhere: Mapping[str, int]
    """How many, by the name of the backend that is not registered."""

    def describe_elsewhere(self) -> str:
        """Say how many rows wait for which backends."""
        rows = [f"{number} for {name!r}" for name, number in self.elsewhere.items()]
        return f"{sum(self.elsewhere.values())} rows wait for backends that are not here: {', '.join(rows)}"


class Jobs:
    """Jobs, as values."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Job]:
        """Return every job, in the order of the dataframe."""
        return self._select(SELECT_JOBS.order_by(job.c.position, job.c.id))

    def snapshot(self) -> tuple[int, list[Job]]:
        """Return every job, in order, and the number of the latest change of status, as of one instant."""
        with self._database.reading() as connection:
            mark = latest_change(connection)
            rows = connection.execute(SELECT_JOBS.order_by(job.c.position, job.c.id)).all()
        return mark, [job_from(row) for row in rows]

    def statuses_at(self, mark: int) -> dict[int, JobStatus]:
        """Return the status that each job had when the change with the number *mark* was the latest one.

        Jobs that had never changed are left out; they were `not_started`.
        """
        latest = (
            sa.select(sa.func.max(status_change.c.id))
            .where(status_change.c.id <= mark)
            .group_by(status_change.c.job_id)
        )
        select = sa.select(status_change.c.job_id, status_change.c.new).where(status_change.c.id.in_(latest))
        with self._database.reading() as connection:
            return {row.job_id: JobStatus(row.new) for row in connection.execute(select)}

    def changed_since(self, mark: int) -> set[int]:
        """Return the numbers of the jobs whose status has changed after the change with the number *mark*."""
        select = sa.select(status_change.c.job_id).where(status_change.c.id > mark).distinct()
        with self._database.reading() as connection:
            return set(connection.execute(select).scalars())

    def with_words(self, words: Collection[str], *, limit: int | None = None) -> list[Job]:
        """Return the jobs that read one of *words*, in the order of submission.

        Those whose creation is under way, or not known, are left out: they read as if they waited.
        """
        own = [status for status in JobStatus if upstream_word(status) in words]
        reads = sa.or_(
            job.c.user_status.in_(list(words)), sa.and_(job.c.user_status.is_(None), job.c.status.in_(own))
        )
        return self._select(
            SELECT_JOBS.where(reads, job.c.status != JobStatus.SUBMITTING)
            .order_by(job.c.priority.desc(), job.c.position, job.c.id)
            .limit(limit)
        )

    def count_words(self) -> dict[str, int]:
        """Count the jobs by the word that they read; those whose creation is not known yet are left out."""
        word = sa.func.coalesce(job.c.user_status, job.c.status)
        select = (
            sa.select(word.label("word"), sa.func.count().label("number"))
            .where(job.c.status != JobStatus.SUBMITTING)
            .group_by(word)
        )
        counts: Counter[str] = Counter()
        with self._database.reading() as connection:
            for row in connection.execute(select):
                is_ours = row.word in set(JobStatus)
                counts[upstream_word(JobStatus(row.word)) if is_ours else row.word] += row.number
        return dict(counts)

    def one(self, number: int) -> Job | None:
        """Return the job with this *number*; None where there is none."""
        found = self._select(SELECT_JOBS.where(job.c.id == number))
        return found[0] if found else None

    def of_batch_job(self, batch_job_id: str) -> Job | None:
        """Return the job that has the batch job with this id; of several, the last one."""
        found = self._select(SELECT_JOBS.where(batch_job.c.batch_job_id == batch_job_id).order_by(job.c.id))
        return found[-1] if found else None

    def with_numbers(self, numbers: Iterable[int]) -> list[Job]:
        """Return the jobs with these numbers, in the order of their numbers; unknown ones are left out."""
        wanted = sorted(set(numbers))
        parts = [wanted[i : i + _VARIABLES] for i in range(0, len(wanted), _VARIABLES)]
        return [
            one
            for part in parts
            for one in self._select(SELECT_JOBS.where(job.c.id.in_(part)).order_by(job.c.id))
        ]

    def of_status(self, statuses: Iterable[JobStatus], *, runner_id: int | None = None) -> list[Job]:
        """Return the jobs, of one runner or of all, that have one of *statuses*, by their numbers."""
        select = SELECT_JOBS.where(job.c.status.in_(sorted(statuses))).order_by(job.c.id)
        return self._select(select if runner_id is None else select.where(job.c.owner_id == runner_id))

    def count_started(self, runner_id: int) -> dict[str, int]:
        """Count the jobs of the runner's account that were started and have not ended, by backend."""
        with self._database.reading() as connection:
            return count_held(connection, STARTED, runner_id=runner_id)

    def polled(self, backend_names: Collection[str], *, runner_id: int) -> list[Job]:
        """Return the runner's jobs whose batch job is known and has not ended, on these backends."""
        return self._select(
            SELECT_JOBS.where(job.c.status.in_(sorted(ACTIVE)), backend.c.name.in_(list(backend_names)))
            .where(batch_job.c.batch_job_id.is_not(None), job.c.needs_person_since.is_(None))
            .where(job.c.owner_id == runner_id)
            .order_by(job.c.id)
        )

    def ended_otherwise(self, backend_name: str, words: Mapping[str, str], *, runner_id: int) -> list[Job]:
        """Return the jobs that have ended as this backend said, but by *words* in another way.

        Those of other live runners are left out.

        *words* has the statuses of batch jobs by their ids; a word that is no end says nothing.
        """
        known = _of_jobs(job.c.id, job.c.status, batch_job.c.batch_job_id).outerjoin(
            batch_job, batch_job.c.id == attempt.c.chosen_id
        )
        with self._database.reading() as connection:
            ended = known.where(_ended_on(backend_name), is_free_or_of(runner_id))
            found = connection.execute(ended.order_by(job.c.id)).all()
        differing = [number for number, status, one in found if words.get(one) in ENDED - {status}]
        return [each for number in differing if (each := self.one(number)) is not None]

    def count_by_status(self) -> dict[JobStatus, int]:
        """Count the jobs of each status that occurs."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(job.c.status, sa.func.count()).group_by(job.c.status))
            return {JobStatus(status): number for status, number in rows}

    def work_left(
        self, backend_names: Collection[str], *, runner_id: int, tripped: Collection[str] = ()
    ) -> WorkLeft:
        """Count the rows that this run can still do something for, with these backends.

        Rows that wait for a person, that a user has set aside with a word of their own, or whose backend is
        not registered do not keep a run alive, nor do rows that wait for backends whose fuse is *tripped*.
        Rows of other runners do, if they are of the same account: they come here if their runner ends before.
        """
        names = list(backend_names)
        open_names = [name for name in names if name not in tripped]
        pin = job.c.pinned_backend
        free = sa.and_(job.c.needs_person_since.is_(None), job.c.user_status.is_(None))
        waiting = sa.and_(
            job.c.status == JobStatus.NOT_STARTED,
            pin.in_(open_names) if tripped and not open_names else sa.or_(pin.is_(None), pin.in_(open_names)),
        )
        ours = sa.and_(backend.c.name.in_(names), ~is_foreign(runner_id))
        active = sa.and_(job.c.status.in_(sorted(ACTIVE)), ours)
        ending = sa.and_(
            is_open(),
            ours,
            sa.or_(
                attempt.c.hook_failed_runner_id.is_(None),
                # A run in which it has raised calls it no more: its next owner does.
                attempt.c.hook_failed_runner_id.is_distinct_from(job.c.owner_id),
                sa.and_(is_free(), attempt.c.hook_failed_runner_id != runner_id),
                job.c.results_status.in_([ResultsStatus.PENDING, ResultsStatus.DOWNLOADING]),
            ),
        )
        with self._database.reading() as connection:
            return WorkLeft(
                waiting=_count(connection, sa.and_(free, waiting)),
                active=_count(connection, sa.and_(free, active)),
                ending=_count(connection, ending),
            )

    def left_behind(self, backend_names: Collection[str]) -> LeftBehind:
        """Count the rows that a run with these backends can do nothing for, though they are not over."""
        its_backend = sa.func.coalesce(backend.c.name, job.c.pinned_backend)
        unfinished = job.c.status.in_(sorted(ACTIVE | {JobStatus.NOT_STARTED}))
        elsewhere = (
            _of_jobs(its_backend, sa.func.count())
            .where(unfinished, its_backend.not_in(list(backend_names)))
            .group_by(its_backend)
            .order_by(its_backend)
        )
        with self._database.reading() as connection:
            return LeftBehind(
                needing_person=_count(connection, job.c.needs_person_since.is_not(None)),
                elsewhere={row[0]: row[1] for row in connection.execute(elsewhere)},
            )

    def history(self, number: int) -> list[StatusChange]:
        """Return the history of the job with this *number*, oldest first."""
        select = sa.select(status_change).where(status_change.c.job_id == number).order_by(status_change.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
        return [
            StatusChange(
                job=row.job_id,
                at=row.at,
                old=JobStatus(row.old) if row.old else None,
                new=JobStatus(row.new),
                actor=row.actor,
                reason=row.reason,
                attempt_id=row.attempt_id,
            )
            for row in rows
        ]

    def change_mark(self) -> tuple[object, ...]:
        """Return a value that differs once something that the mirror shows has changed."""
        with self._database.reading() as connection:
            changes = latest_change(connection)
            facts = connection.execute(
                sa.select(
                    sa.func.count(attempt.c.id),
                    sa.func.count(attempt.c.running_start_time),
                    sa.func.count(attempt.c.usage),
                    sa.func.total(attempt.c.costs),
                )
            ).one()
            rows = connection.execute(
                sa.select(sa.func.count(job.c.id), sa.func.group_concat(_OWN_WORDS))
            ).one()
            edition = connection.execute(sa.select(campaign.c.edition)).scalar()
        return (changes, edition, *facts, *rows)

    def _select(self, select: sa.Select[tuple[object, ...]]) -> list[Job]:
        with self._database.reading() as connection:
            rows = connection.execute(select).all()
        return [job_from(row) for row in rows]


_OWN_WORDS = sa.cast(job.c.id, sa.Text) + " " + job.c.user_status


def _ended_on(backend_name: str) -> sa.ColumnElement[bool]:
    """Return the condition for a job that has ended as its backend said, not as a user or a file did."""
    as_told = attempt.c.backend_status == job.c.status
    return sa.and_(job.c.status.in_(sorted(ENDED)), as_told, backend.c.name == backend_name)


def _count(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(_of_jobs(sa.func.count()).where(condition)).scalar_one())


def _of_jobs(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Select from the jobs with their latest attempt and its backend."""
    return (
        sa.select(*columns)
        .select_from(job)
        .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
        .outerjoin(backend, backend.c.id == attempt.c.backend_id)
    )
