"""Orphans: batch jobs that were created for a row, and that no attempt chose."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import BatchJob, Job, Outcome
from openeo_jobs.policy.orphans import WAITING_REASON, Find, Origin, Settlement
from openeo_jobs.status import JobStatus
from openeo_jobs.storage.attempts import insert_attempt, insert_batch_job
from openeo_jobs.storage.database import Database
from openeo_jobs.storage.logins import account_of, is_foreign
from openeo_jobs.storage.rows import SELECT_BATCH_JOBS, SELECT_JOBS, batch_job_from, job_from, update_each
from openeo_jobs.storage.schema import attempt, backend, batch_job, job


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A batch job of a row that no attempt chose, and about which nobody has decided yet."""

    id: int
    """Its number in the database; the openEO id is `batch_job_id`."""
    row: int
    backend_name: str
    batch_job_id: str
    tag: str | None
    found_at: datetime | None
    """When a listing showed it, if the database had not known its create request."""
    seen_status: str | None
    """What the latest listing said of it."""
    was_started: bool
    """Whether `start_job` has asked for its start."""
    account: str | None = None
    """Whose it is; None: not known."""

    @property
    def is_inert(self) -> bool:
        """Whether it was never started, as far as we know."""
        return not self.was_started and self.seen_status in (None, JobStatus.CREATED)


class Orphans:
    """Batch jobs that nobody waits for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> list[Orphan]:
        """Return the orphans about which nobody has decided yet, in the order of their rows."""
        with self._database.reading() as connection:
            return select_open(connection)

    def count(self) -> int:
        """Count the orphans about which nobody has decided yet."""
        return len(self.open())

    def unknown(self, backend_name: str, tags: Mapping[str, str]) -> list[tuple[str, BatchJob | None]]:
        """Return those batch jobs of *tags* (tags by batch job id) that the database does not know.

        Each comes with the create request that its tag belongs to, if that is known.
        """
        on_it = batch_job.c.backend_id == _id_of(backend_name)
        with self._database.reading() as connection:
            known = set(connection.execute(sa.select(batch_job.c.batch_job_id).where(on_it)).scalars())
            unknown = {one: tag for one, tag in tags.items() if one not in known}
            if not unknown:
                return []
            wanted = set(unknown.values())
            rows = connection.execute(sa.select(batch_job.c.tag, batch_job.c.id).where(on_it)).all()
            numbers = [row.id for row in rows if row.tag in wanted]
            posts = [
                batch_job_from(connection.execute(SELECT_BATCH_JOBS.where(batch_job.c.id == number)).one())
                for number in numbers
            ]
        by_tag = {post.tag: post for post in posts}
        return [(one, by_tag.get(tag)) for one, tag in unknown.items()]

    def record(self, backend_name: str, finds: Sequence[Find], *, runner_id: int, at: datetime) -> list[Find]:
        """Store batch jobs that a runner's listing showed; return those of rows that the campaign lacks."""
        with self._database.writing() as connection:
            backend_id = connection.execute(sa.select(_id_of(backend_name))).scalar_one()
            known = set(connection.execute(sa.select(batch_job.c.batch_job_id)
                .where(batch_job.c.backend_id == backend_id)).scalars())  # fmt: skip
            new = [find for find in finds if find.seen.batch_job_id not in known]
            account = connection.execute(sa.select(account_of(runner_id, backend_id))).scalar()
            return [
                find
                for find in new
                if not _record(connection, find, backend_id=backend_id, account=account, at=at)
            ]

    def record_seen(self, backend_name: str, words: Mapping[str, str]) -> None:
        """Store what a listing said of the open orphans of a backend: *words* by batch job id."""
        news = [
            {"its_id": one.id, "word": word}
            for one in self.open()
            if one.backend_name == backend_name
            and (word := words.get(one.batch_job_id)) not in (None, one.seen_status)
        ]
        if news:
            update = sa.update(batch_job).where(batch_job.c.id == sa.bindparam("its_id"))
            with self._database.writing() as connection:
                connection.execute(update.values(seen_status=sa.bindparam("word")), news)

    def stop_rows(self, *, at: datetime) -> int:
        """Let waiting rows of which a batch job is unknown wait for a person; return how many more do."""
        with self._database.reading() as connection:
            waiting = connection.execute(_STOPPED).scalars().all()
        if not waiting:
            return 0
        stop = (
            sa.update(job)
            .where(job.c.id == sa.bindparam("number"), job.c.status == JobStatus.NOT_STARTED)
            .values(needs_person_since=at, needs_person_reason=WAITING_REASON)
        )
        with self._database.writing() as connection:
            return connection.execute(stop, [{"number": one} for one in waiting]).rowcount

    def loose(self, runner_id: int) -> list[tuple[Job, BatchJob]]:
        """Return the create requests of unknown outcome whose rows went on without them.

        Each comes with its row. One without a tag is left out: no listing tells of it. So are
        those of other accounts than the runner's: its listings do not tell of them.
        """
        select = (
            SELECT_BATCH_JOBS.join(_OWN, _OWN.c.id == batch_job.c.attempt_id)
            .add_columns(_OWN.c.job_id)
            .where(batch_job.c.outcome == Outcome.UNKNOWN, batch_job.c.ended_at.is_not(None))
            .where(batch_job.c.tag.is_not(None), ~_WAITS_FOR_IT, ~is_foreign(runner_id, _OWN))
            .order_by(batch_job.c.id)
        )
        with self._database.reading() as connection:
            found = connection.execute(select).all()
            jobs = {
                number: job_from(connection.execute(SELECT_JOBS.where(job.c.id == number)).one())
                for number in {row._mapping[_OWN.c.job_id] for row in found}
            }
        return [(jobs[row._mapping[_OWN.c.job_id]], batch_job_from(row)) for row in found]

    def settle(self, numbers: Collection[int], settlement: Settlement, *, at: datetime) -> None:
        """Store what was decided about the orphans with these numbers."""
        with self._database.writing() as connection:
            update_each(connection, batch_job, numbers, settled_as=settlement, settled_at=at)

    def disown(self, orphans: Sequence[Orphan], *, at: datetime) -> None:
        """Declare orphans foreign; rows that waited for a person because of them wait for a slot again."""
        with self._database.writing() as connection:
            numbers = [one.id for one in orphans]
            update_each(connection, batch_job, numbers, settled_as=Settlement.FOREIGN, settled_at=at)
            left = {one.row for one in select_open(connection) if one.found_at is not None}
            _let_wait_for_a_slot(connection, {one.row for one in orphans if one.found_at} - left)


def select_open(connection: sa.Connection) -> list[Orphan]:
    """Return the orphans about which nobody has decided yet, in the order of their rows."""
    return [
        Orphan(
            id=row.id,
            row=row.job_id,
            backend_name=row.name,
            batch_job_id=row.batch_job_id,
            tag=row.tag,
            found_at=row.found_at,
            seen_status=row.seen_status,
            was_started=row.start_sent_at is not None,
            account=row.account,
        )
        for row in connection.execute(_OPEN.order_by(_OWN.c.job_id, batch_job.c.id))
    ]


def declare_foreign(connection: sa.Connection, rows: Collection[int], *, at: datetime) -> None:
    """Let the strays of these rows no longer stop them, and rows that waited for that wait for a slot."""
    wanted = set(rows)
    strays = [one.id for one in select_open(connection) if one.found_at is not None and one.row in wanted]
    update_each(connection, batch_job, strays, settled_as=Settlement.FOREIGN, settled_at=at)
    _let_wait_for_a_slot(connection, wanted)


_OWN = attempt.alias("own")
_CURRENT = job.alias("current")
_WAITS_FOR_IT = (
    sa.exists()
    .where(_CURRENT.c.attempt_id == batch_job.c.attempt_id, _CURRENT.c.status == JobStatus.SUBMITTING)
    .where(_OWN.c.chosen_id.is_(None))
    .correlate(batch_job, _OWN)
)
"""`start_job` has not returned yet, or it is not known yet what it created."""
_IN_DOUBT = _WAITS_FOR_IT.where(_CURRENT.c.needs_person_since.is_(None))
"""No person has to say which batch job is the right one."""
_IS_OPEN = sa.and_(
    batch_job.c.batch_job_id.is_not(None),
    batch_job.c.settled_at.is_(None),
    sa.or_(
        batch_job.c.sent_at.is_not(None),
        batch_job.c.found_at.is_not(None),
        batch_job.c.outcome == Outcome.COPY,
    ),
    batch_job.c.id.not_in(sa.select(attempt.c.chosen_id).where(attempt.c.chosen_id.is_not(None))),
    ~_IN_DOUBT,
)
"""What `start_job` was handed from elsewhere, and did not return, is nobody's orphan."""
_OPEN = (
    sa.select(batch_job, _OWN.c.job_id, _OWN.c.account, backend.c.name)
    .select_from(batch_job)
    .join(_OWN, _OWN.c.id == batch_job.c.attempt_id)
    .join(backend, backend.c.id == batch_job.c.backend_id)
    .where(_IS_OPEN)
)
_STOPPED = (
    sa.select(job.c.id)
    .distinct()
    .select_from(batch_job)
    .join(_OWN, _OWN.c.id == batch_job.c.attempt_id)
    .join(job, job.c.id == _OWN.c.job_id)
    .where(batch_job.c.found_at.is_not(None), _IS_OPEN)
    .where(job.c.status == JobStatus.NOT_STARTED, job.c.needs_person_since.is_(None))
)


def _id_of(backend_name: str) -> sa.ScalarSelect[Any]:
    return sa.select(backend.c.id).where(backend.c.name == backend_name).scalar_subquery()


def _record(
    connection: sa.Connection, find: Find, *, backend_id: int, account: str | None, at: datetime
) -> bool:
    """Store one batch job; return whether the campaign has its row."""
    values: dict[str, Any] = {"batch_job_id": find.seen.batch_job_id, "seen_status": find.seen.status}
    if find.origin is Origin.LATE and find.post is not None:
        values["outcome"] = Outcome.ADOPTED
        connection.execute(sa.update(batch_job).where(batch_job.c.id == find.post.id).values(values))
        return True
    values |= {"backend_id": backend_id, "ended_at": at}
    if find.post is not None:
        its_attempt = sa.select(batch_job.c.attempt_id).where(batch_job.c.id == find.post.id)
        attempt_id = connection.execute(its_attempt).scalar_one()
        insert_batch_job(connection, attempt_id=attempt_id, outcome=Outcome.COPY, **values)
        return True
    if connection.execute(sa.select(job.c.id).where(job.c.id == find.tag.row)).first() is None:
        return False
    is_new = connection.execute(sa.select(batch_job.c.id).where(batch_job.c.tag == find.tag.text)).first()
    insert_batch_job(
        connection,
        # An attempt that this database has forgotten, or never knew: the row is not at it.
        attempt_id=insert_attempt(
            connection, find.tag.row, backend_id=backend_id, account=account, began_at=at
        ),
        tag=find.tag.text if is_new is None else None,
        outcome=Outcome.ADOPTED,
        found_at=at,
        **values,
    )
    return True


def _let_wait_for_a_slot(connection: sa.Connection, rows: Collection[int]) -> None:
    """Let those of these rows that wait for a person before they were submitted wait for a slot."""
    waiting = connection.execute(
        sa.select(job.c.id).where(
            job.c.status == JobStatus.NOT_STARTED, job.c.needs_person_since.is_not(None)
        )
    ).scalars()
    its = set(rows) & set(waiting)
    update_each(connection, job, its, needs_person_since=None, needs_person_reason=None)
