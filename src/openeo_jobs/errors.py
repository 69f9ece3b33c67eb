"""Every exception of openeo-jobs.

OpenEOJobsError
├── UsageError                  a call, an argument or a command line that cannot be carried out
│   ├── FrameError              a dataframe that cannot become a campaign, or not this one
│   │   └── CampaignExistsError the campaign exists already, and holds other rows
│   └── MirrorError             a CSV that is not what was last written: never overwritten
├── DatabaseError               a database that cannot be used
│   ├── NotACampaignError       the file is something else
│   ├── SchemaOutdatedError     an older revision: upgrade it
│   ├── SchemaTooNewError       a newer revision: upgrade openeo-jobs
│   ├── SqliteTooOldError       the linked SQLite is too old
│   ├── DatabaseUnavailableError it cannot be read or written for now: a full disk, an I/O error
│   │   └── DatabaseBusyError   another program has held the file for too long
│   ├── DatabaseReadOnlyError   it may not be written
│   ├── DatabaseReplacedError   the file was deleted, replaced, or set back while it was in use
│   └── CampaignInUseError      another run works on it
├── StatusChangeError           a change of status that the graph does not allow
├── AdoptionError               a batch job that cannot be made a row's
├── JobMovedError               a job that is no longer as it was read: somebody else has changed it
├── CampaignMovedError          a campaign that has got other columns since it was read
├── CallbackError               what `start_job` returned cannot be used
├── DownloadInterruptedError    a file that the next run goes on with
└── BackendError                a backend did not do what was asked
    ├── BackendRefusedError     it answered no (3xx, 4xx)
    ├── BackendUnavailableError it could not answer (5xx, no connection, time-out)
    └── BackendAnswerError      it answered something that makes no sense
"""

from __future__ import annotations

from datetime import timedelta


class OpenEOJobsError(Exception):
    """The root of the tree."""


class UsageError(OpenEOJobsError, ValueError):
    """A call, an argument or a command line that cannot be carried out; the message names the remedy."""


class FrameError(UsageError):
    """A dataframe that cannot become a campaign, or does not fit the campaign that exists."""


class CampaignExistsError(FrameError, FileExistsError):
    """The campaign exists already, and holds other rows; it stays as it is."""


class MirrorError(UsageError):
    """A CSV that is not what was last written there; it is never overwritten."""


class DatabaseError(OpenEOJobsError):
    """A database that cannot be used."""


class NotACampaignError(DatabaseError):
    """The file is something else than a campaign of openeo-jobs; it is left untouched."""


class SchemaOutdatedError(DatabaseError):
    """The database has an older revision of the schema."""


class SchemaTooNewError(DatabaseError):
    """The database was written by a newer version of openeo-jobs."""


class SqliteTooOldError(DatabaseError):
    """The SQLite library that Python is linked to is too old."""


class DatabaseUnavailableError(DatabaseError):
    """The database cannot be read or written for now: the disk is full, or fails; nothing was changed."""


class DatabaseReadOnlyError(DatabaseError):
    """The database, or its folder, may not be written."""


class DatabaseReplacedError(DatabaseError):
    """The file was deleted, replaced, or set back to an older copy while it was in use."""


class DatabaseBusyError(DatabaseUnavailableError):
    """Another program has held the database for longer than we wait."""


class CampaignInUseError(DatabaseError):
    """Another run works on this database."""


class StatusChangeError(OpenEOJobsError):
    """A change of status that the graph (table `status_transition`) does not allow."""


class JobMovedError(OpenEOJobsError):
    """A job that is no longer as it was read: somebody else has changed it meanwhile."""


class CampaignMovedError(OpenEOJobsError):
    """A campaign that has got other columns since it was read."""


class AdoptionError(OpenEOJobsError):
    """A batch job that cannot be made a row's: the row is under way, or the batch job is another one's."""


class CallbackError(OpenEOJobsError):
    """What `start_job` returned cannot be used."""


class DownloadInterruptedError(OpenEOJobsError):
    """A file was not fetched to its end because the run was told to stop; the next one goes on with it."""


class BackendError(OpenEOJobsError):
    """A backend did not do what was asked.

    `http_status` is the status of the answer, None where there was no answer; `code` is the openEO error
    code, None where the answer was not an openEO error; `retry_after` is how long the backend asked to wait,
    None where it did not.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        code: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.retry_after = retry_after


class BackendRefusedError(BackendError):
    """The backend answered no: a definite answer (3xx, 4xx)."""


class BackendUnavailableError(BackendError):
    """The backend could not answer: 5xx, no connection, a reset, a time-out.

    `reached` is False only where it is certain that the request never left (no connection, DNS, TLS).
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        code: str | None = None,
        retry_after: timedelta | None = None,
        reached: bool = True,
    ) -> None:
        super().__init__(message, http_status=http_status, code=code, retry_after=retry_after)
        self.reached = reached


class BackendAnswerError(BackendError):
    """The backend answered something that makes no sense (no JSON, a missing field, a truncated file)."""
