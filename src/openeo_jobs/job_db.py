"""SqlJobDatabase: openEO's `JobDatabaseInterface` on our database, and the two functions that make one."""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from openeo.extra.job_management import JobDatabaseInterface

from openeo_jobs.campaign.beginning import Given, begin_or_go_on, prepare
from openeo_jobs.campaign.hand_outs import HandOuts
from openeo_jobs.campaign.importing import has_begun
from openeo_jobs.campaign.locations import locate
from openeo_jobs.campaign.mirrors import make_mirror
from openeo_jobs.campaign.reading import read_together
from openeo_jobs.errors import CampaignMovedError, DatabaseError, UsageError
from openeo_jobs.frames import Handed, find_written, frame_by_number, number_of
from openeo_jobs.jobs import Job
from openeo_jobs.policy.writing import Refusal
from openeo_jobs.storage.store import JobStore, open_store_for_run
from openeo_jobs.tables import dump_cells
from openeo_jobs.tracking.runner import make_hasty_judge

log = logging.getLogger("openeo_jobs")


def get_job_db(path: str | Path) -> SqlJobDatabase:
    """Return the job database at *path*: a `.sqlite` or `.db`, or a `.csv` or `.parquet` that mirrors it."""
    return SqlJobDatabase(path)


def create_job_db(
    path: str | Path, df: pd.DataFrame, *, on_exists: str = "error", key: Sequence[str] | None = None
) -> SqlJobDatabase:
    """Make a job database at *path* with the rows of *df*; if it exists, *on_exists* says what is done.

    The arguments are those of `SqlJobDatabase.initialize_from_df`.
    """
    return SqlJobDatabase(path).initialize_from_df(df, on_exists=on_exists, key=key)


class SqlJobDatabase(JobDatabaseInterface):  # type: ignore[misc]
    """A campaign's database, as openEO's own `MultiBackendJobManager` and people's code use it.

    *path* is a `.sqlite` or `.db` file, or a `.csv` or `.parquet` whose database lies beside it. Frames that
    are handed out have the user's columns, in their dtypes, then the documented ones in openEO's words, and
    an index that counts the rows from 0, whatever their order.

    A row that is being created, or of which it is not known whether it was, reads `not_started`, but is
    neither counted nor handed out by status: whoever got it would create it twice. Our manager settles it.
    """

    def __init__(self, path: str | Path) -> None:
        self.location = locate(path)
        self.path = self.location.mirror or self.location.database
        self._store: JobStore | None = None
        self._hand_outs = HandOuts()
        self._df: pd.DataFrame | None = None
        self._as_handed = pd.DataFrame()
        self._mark: object = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def exists(self) -> bool:
        """Say whether there is a campaign: in the database, or in a file that another manager began."""
        mirror = self.location.mirror
        return has_begun(self.location.database) or (mirror is not None and mirror.exists())

    def initialize_from_df(
        self, df: pd.DataFrame, *, on_exists: str = "error", key: Sequence[str] | None = None
    ) -> SqlJobDatabase:
        """Store the rows of *df*, and return this database.

        *on_exists* says what becomes of a *df* with other rows than are there already: `"error"` raises
        `CampaignExistsError` (a `FileExistsError`), `"append"` adds rows and columns that are new, `"update"`
        also takes over cells of rows that are neither under way nor finished, `"skip"` ignores *df*. Rows are
        the same if their cells in the columns *key* are; without it, in all columns.
        """
        self._open(Given(df=df, on_exists=on_exists, key=key))
        self._write_mirror()
        return self

    @property
    def df(self) -> pd.DataFrame:
        """All rows; the same object until there are news, or until what was changed in it is persisted."""
        mark = self._open_existing().jobs.change_mark()
        if self._df is None or (mark != self._mark and self._df.equals(self._as_handed)):
            self._mark, self._df = mark, self.read()
            self._as_handed = self._df.copy()
        return self._df

    def read(self) -> pd.DataFrame:
        """Return all rows, as they are now."""
        return self._hand_out(self._open_existing().jobs.all)

    def get_by_status(self, statuses: Iterable[str], max: int | None = None) -> pd.DataFrame:
        """Return the rows that have one of *statuses*, at most *max* of them: those that come first."""
        if isinstance(statuses, str):
            raise UsageError(f"statuses is a list of words, such as [{statuses!r}]")
        words = list(statuses)
        return self._hand_out(lambda: self._open_existing().jobs.with_words(words, limit=max))

    def get_by_indices(self, indices: Iterable[int | str]) -> pd.DataFrame:
        """Return the rows with these labels; those that do not exist are warned about."""
        wanted = list(indices)
        numbers = {number for label in wanted if (number := number_of(label)) is not None}
        frame = self._hand_out(lambda: self._open_existing().jobs.with_numbers(numbers))
        unknown = [label for label in wanted if label not in frame.index]
        if unknown:
            log.warning("%r has no rows %s", self, ", ".join(map(str, unknown)))
        return frame

    def count_by_status(self, statuses: Iterable[str] = ()) -> dict[str, int]:
        """Count the rows of each of *statuses*, or of every status; what does not occur is left out."""
        counts, wanted = self._open_existing().jobs.count_words(), set(statuses)
        return {word: number for word, number in counts.items() if not wanted or word in wanted}

    def persist(self, df: pd.DataFrame) -> None:
        """Store what differs in *df* from what was handed out, all of it or nothing.

        *df* may be a part, in any order, with new columns and new rows. A status is written if its row has
        not moved since it was read; one that is refused is warned about. A word that is no status is kept as
        one of the user's. Raises `FrameError` for cells that do not fit the stored dtypes, before anything is
        changed.
        """
        if self._store is None and not self.exists():
            self.initialize_from_df(df)
            return
        for refusal in self._persist(df):
            log.warning("%s", refusal.describe())
        self._write_mirror()

    def close(self) -> None:
        """Close the database; it is opened again when it is needed."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _open(self, given: Given) -> JobStore:
        beginning = prepare(self.location, given)
        store = self._connect()
        begin_or_go_on(store, self.location, given, beginning, at=_now())
        return store

    def _open_existing(self) -> JobStore:
        if self._store is not None:
            return self._store
        if not self.exists():
            raise DatabaseError(f"{self.path} does not exist yet; give it rows: initialize_from_df(df)")
        return self._connect() if has_begun(self.location.database) else self._open(Given())

    def _connect(self) -> JobStore:
        if self._store is None:
            self._store = open_store_for_run(self.location.database, is_dead=make_hasty_judge(_now))
            weakref.finalize(self, self._store.close)
        return self._store

    def _persist(self, df: pd.DataFrame) -> list[Refusal]:
        store = self._open_existing()
        numbers = {number for label in df.index.tolist() if (number := number_of(label)) is not None}
        while True:
            campaign, now = read_together(store, lambda: store.jobs.with_numbers(numbers))
            handed = Handed(
                campaign=campaign,
                jobs={job.number: self._as_shown(df, job) for job in now},
                load_all=lambda: [self._as_shown(df, job) for job in store.jobs.all()],
                is_ours=self._hand_outs.is_ours(df),
                earlier=self._hand_outs.earlier,
            )
            merge, written = find_written(df, handed)
            with suppress(CampaignMovedError):
                refusals = store.interface.persist(merge, written, at=_now())
                break
        taken = {one.job.number for one in written} - {refusal.job.number for refusal in refusals}
        self._hand_outs.renew(df, store.jobs.with_numbers(taken))
        if df is self._df:
            self._as_handed = df.copy()
        return refusals

    def _as_shown(self, df: pd.DataFrame, now: Job) -> Job:
        """Return a row as *df* showed it before anybody changed it; a column that it did not show, as now."""
        shown = self._hand_outs.state_in(df, now.number) or now
        cells, all_cells = json.loads(shown.params), json.loads(now.params)
        return replace(shown, params=dump_cells([*cells, *all_cells[len(cells) :]]))

    def _hand_out(self, read: Callable[[], Sequence[Job]]) -> pd.DataFrame:
        campaign, jobs = read_together(self._open_existing(), read)
        frame: pd.DataFrame = self._hand_outs.hand_out(frame_by_number(campaign, jobs), jobs)
        return frame

    def _write_mirror(self) -> None:
        mirror = make_mirror(self._open_existing(), self.location)
        if mirror is not None:
            mirror.write()


def _now() -> datetime:
    return datetime.now(UTC)
