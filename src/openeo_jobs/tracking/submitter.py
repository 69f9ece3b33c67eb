"""Create batch jobs: claim a row, call `start_job`, store every create request before it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from openeo_jobs.backends.foreign import as_backend_error
from openeo_jobs.errors import BackendError, CallbackError, DatabaseError, JobMovedError
from openeo_jobs.jobs import Job, Outcome
from openeo_jobs.policy.failures import make_failure, may_pass
from openeo_jobs.policy.tags import write_tag
from openeo_jobs.tracking import starter
from openeo_jobs.tracking.run import Run, log
from openeo_jobs.tracking.user_code import Returned


def submit(run: Run, find_caps: Callable[[], Mapping[str, int]], *, record: Callable[[], object]) -> None:
    """Submit waiting rows, one after the other, until no slot is free on the backends that are open.

    *find_caps* returns those and their caps; it is asked for every row, as a backend may have to pause.
    *record* stores the answers that have come meanwhile.
    """
    while not run.stopping.is_set():
        record()
        claimed = run.store.claims.claim(runner_id=run.runner_id, caps=find_caps(), at=run.now(), limit=1)
        if not claimed:
            return
        for job in claimed:
            try:
                submit_one(run, job)
            except JobMovedError as error:
                log.warning("%s", error)


def submit_one(run: Run, job: Job) -> None:
    """Call `start_job` for a claimed row, and store what came of it."""
    call = Call(run, job)
    run.stats["start_job call"] += 1
    run.stats["job launch"] += 1
    try:
        returned = run.user_code.start_job(job, call.backend_name, call)
    except KeyboardInterrupt:
        if not call.has_sent:
            with suppress(JobMovedError):
                run.store.creations.release(job, at=run.now(), reason="stopped while start_job ran")
        raise
    except (Exception, SystemExit) as error:
        if call.database_error is not None:
            raise call.database_error from error  # not the row's fault: it is settled later
        run.stats["start_job error"] += 1
        _store_failure(run, job, call, call.explain(error))
    else:
        if returned is None and call.database_error is not None:  # the callback has made nothing of it
            raise call.database_error
        _store_return(run, job, returned)


@dataclass(frozen=True, slots=True)
class StoredIntent:
    """A create request that the database knows; *number* is its batch job there."""

    number: int
    backend_name: str
    tag: str | None


@dataclass(slots=True)
class Call:
    """One call of `start_job`, told by the wire about what it sends."""

    run: Run
    job: Job
    outcomes: list[Outcome] = field(default_factory=list)
    batch_jobs: list[Returned] = field(default_factory=list)
    """What it has created for certain."""
    has_sent: bool = False
    """Whether a create or start request may have left."""
    asked_to_start: Returned | None = None
    """The batch job that the callback itself asked to start, last."""
    latest_failure: BackendError | None = None
    """What the latest request that failed was answered with."""
    database_error: DatabaseError | None = None
    """The database could not be written while user code ran."""

    @property
    def backend_name(self) -> str:
        """The backend that the row was claimed for."""
        return str(self.job.backend_name)

    def creating(self, backend_name: str, fingerprint: str, *, can_tag: bool) -> StoredIntent:
        """Store the intent, with its tag."""
        self.has_sent = True
        tag = self._make_tag() if can_tag else None
        with self._noting():
            number = self.run.store.creations.record_intent(
                self.job, backend_name=backend_name, fingerprint=fingerprint, tag=tag, at=self.run.now()
            )
        return StoredIntent(number, backend_name, tag)

    def created(
        self, intent: StoredIntent, outcome: Outcome, batch_job_id: str | None, message: str | None
    ) -> None:
        """Store the outcome."""
        self.outcomes.append(outcome)
        if batch_job_id is not None:
            self.batch_jobs.append(Returned(backend_name=intent.backend_name, batch_job_id=batch_job_id))
        with self._noting():
            self.run.store.creations.record_outcome(
                intent.number, outcome=outcome, batch_job_id=batch_job_id, at=self.run.now()
            )

    def starting(self, backend_name: str, batch_job_id: str) -> None:
        """Store that the callback itself asks for the start."""
        self.has_sent = True
        self.asked_to_start = Returned(backend_name=backend_name, batch_job_id=batch_job_id)
        with self._noting():
            self.run.store.creations.record_start_sent(
                self.job, backend_name=backend_name, batch_job_id=batch_job_id, at=self.run.now()
            )

    def started(self, backend_name: str, batch_job_id: str, error: BackendError | None) -> None:
        """Take the start back if it was definitely refused; otherwise what is seen decides."""
        if error is not None and starter.is_definitely_refused(error):
            with self._noting():
                self.run.store.creations.record_start_sent(
                    self.job, backend_name=backend_name, batch_job_id=batch_job_id, at=None
                )

    def saw(self, backend_name: str, error: BackendError) -> None:
        """Remember that a request failed; whether it matters, `start_job` decides."""
        self.latest_failure = error
        log.debug("row %d: %s: %s", self.job.number, backend_name, error)

    def find_only_created(self) -> Returned | None:
        """Return the batch job that the call has created, if it is one, and nothing is in doubt."""
        if len(self.batch_jobs) != 1 or Outcome.UNKNOWN in self.outcomes:
            return None
        [created] = self.batch_jobs
        return created if self.asked_to_start in (None, created) else None

    def explain(self, error: Exception | SystemExit) -> Exception:
        """Return what *error*, raised by `start_job`, is: a failure of the backend, or of the callback."""
        seen = self.latest_failure
        failure = as_backend_error(error) if seen is not None else None
        if failure is None or seen is None:
            return CallbackError(f"{type(error).__name__}: {error} in start_job")
        if failure.retry_after is None and failure.http_status == seen.http_status:
            failure.retry_after = seen.retry_after  # openEO's client keeps no headers
        return failure

    def _make_tag(self) -> str | None:
        if not self.run.settings.tags_titles:
            return None
        return write_tag(self.run.campaign.uid, self.job.number, self.run.make_token())

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            self.database_error = error
            raise


def _store_return(run: Run, job: Job, returned: Returned | None) -> None:
    at = run.now()
    if returned is None:
        run.stats["start_job skipped"] += 1
        run.store.creations.skip(job, at=at)
        return
    chosen = run.store.creations.choose(
        job, backend_name=returned.backend_name, batch_job_id=returned.batch_job_id, at=at
    )
    run.note_creation(returned.backend_name)
    log.info("row %d: batch job %s on %s", job.number, returned.batch_job_id, returned.backend_name)
    if returned.backend_name in run.gateways and not run.stopping.is_set():
        starter.start(run, [chosen], is_fresh=True)


def _store_failure(run: Run, job: Job, call: Call, error: Exception) -> None:
    """Store why a call failed: the row fails, or goes back in line, or waits until its outcome is known.

    A backend that pauses fails no row: what was created before is kept, as where a process was killed; else,
    after the pause, the rows behind it get their turn first.
    """
    at = run.now()
    retry_at = run.pause(call.backend_name, error)
    failure = make_failure(error, at=at)
    if may_pass(failure) and (created := call.find_only_created()) is not None:
        _keep_created(run, job, created, error)
        return
    if Outcome.UNKNOWN in call.outcomes:
        log.warning("row %d: outcome of creation unknown (%s); a listing will tell", job.number, error)
        run.store.endings.record_failure(job, failure)
        return
    if retry_at is not None and not call.batch_jobs:
        not_before = retry_at + run.settings.poll_sleep
        run.store.creations.release(
            job, at=at, reason=failure.message, failure=failure, not_before=not_before
        )
        run.learn_cap(call.backend_name, error)
    else:
        log.warning("row %d: start_failed: %s", job.number, error)
        run.store.creations.fail(job, failure, at=at)


def _keep_created(run: Run, job: Job, created: Returned, error: Exception) -> None:
    """Keep the batch job that the callback created, though it could do no more with it for now."""
    log.warning("row %d: batch job %s is kept: %s", job.number, created.batch_job_id, error)
    run.store.creations.choose(
        job, backend_name=created.backend_name, batch_job_id=created.batch_job_id, at=run.now()
    )
    run.learn_cap(created.backend_name, error)
