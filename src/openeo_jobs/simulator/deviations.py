"""How a backend differs from the openEO API 1.2.0, as implementations were seen to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Lags:
    """How late a backend knows what happened, in seconds.

    - `listing_seconds`: a new batch job is not in `GET /jobs` before.
    - `job_seconds`: a new batch job is unknown to every other endpoint before.
    - `status_seconds`: what the API says of a batch job is so old.
    - `costs_seconds`: costs and usage of a batch job are null before, counted from its end.
    """

    listing_seconds: float = 0.0
    job_seconds: float = 0.0
    status_seconds: float = 0.0
    costs_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How `GET /jobs` lists.

    - `cap`: no answer has more entries, which are the oldest, and no link leads to the others.
    - `ignores_limit`: everything in one answer.
    - `fields`: those that most backends give; only id, title, status and created; or all, with the process.
    """

    cap: int | None = None
    ignores_limit: bool = False
    fields: Literal["usual", "few", "all"] = "usual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """A member of a federation that does not answer for a while.

    - `member_share`: of the batch jobs, 0 to 1, are the member's, drawn from the seed, title and process.
    - `away`: (after, for) seconds, counted from the first `POST /jobs`. Those of its batch jobs that were
      created before are then 404, and missing from the list, which has `federation:missing`.
    """

    member_share: float = 0.0
    away: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """How answers are written.

    - `location`: the header of `POST /jobs`. `has_identifier`: whether `OpenEO-Identifier` comes with it.
    - `has_created`: whether `created` is there. `updated`: right, always that of the creation, or absent.
    - `has_plain_dates`: without `T` and zone. `has_progress_as_text`: `50 %`.
    - `has_numbers_as_codes`: errors have a number for a code. `has_plain_logs`: log entries are just texts.
    - `has_null_as_object`: a null for `plan` or `budget` comes back as `{}`.
    """

    location: Literal["absolute", "double_slash", "no_scheme"] = "absolute"
    has_identifier: bool = True
    has_plain_dates: bool = False
    updated: Literal["right", "frozen", "absent"] = "right"
    has_created: bool = True
    has_progress_as_text: bool = False
    has_numbers_as_codes: bool = False
    has_plain_logs: bool = False
    has_null_as_object: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Which HTTP status is answered where implementations differ; one of 400 and above comes without effect.

    - `start_active`: the start of a queued or running batch job.
    - `start_beyond`: one beyond `concurrent_jobs`.
    - `cancel`, `delete`; a delete that is answered 202 deletes nothing.
    - `failed_job`: `GET /jobs/{job_id}` of a failed one. `failed_results`: the results of a failed one.
    - `early_results`: results before the end; 200 comes with nothing in it.
    - `early_logs`: logs before the start.
    - `unknown_job`: a batch job that does not exist. `bad_token`: a token that is invalid or has expired.
    - `resets_after_errors`: a connection that is used again after an answer of 400 and above is closed.
    """

    start_active: int = 202
    start_beyond: int = 400
    cancel: int = 204
    delete: int = 204
    failed_job: int = 200
    failed_results: int = 424
    early_results: int = 400
    early_logs: int = 200
    unknown_job: int = 404
    bad_token: int = 403
    resets_after_errors: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Which files results have, and how they are served.

    - `more`: (count, bytes): so many files beyond the usual three, of so many bytes each.
    - `has_sizes`, `has_checksums`: whether results say `file:size` and `file:checksum`.
    - `bytes_per_second`: how fast a file is sent at most; None: as fast as the client takes it.
    - `host`: another name for this machine, which the links lead to: `localhost`, for example.
    - `is_signed`: whether links can be read without logging in. `link_seconds`: how long; None: for ever.
    - `has_ranges`: whether a part can be asked for. `has_head`: whether `HEAD` is allowed.
    """

    more: tuple[int, int] = (0, 0)
    has_sizes: bool = True
    has_checksums: bool = True
    bytes_per_second: float | None = None
    host: str | None = None
    is_signed: bool = True
    link_seconds: float | None = None
    has_ranges: bool = True
    has_head: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """How a backend differs from the specification; by default in nothing.

    `token_seconds`: how long a login is valid; None: for ever.
    """

    lags: Lags = field(default_factory=Lags)
    listing: Listing = field(default_factory=Listing)
    federation: Federation = field(default_factory=Federation)
    documents: Documents = field(default_factory=Documents)
    answers: Answers = field(default_factory=Answers)
    files: Files = field(default_factory=Files)
    token_seconds: float | None = None
