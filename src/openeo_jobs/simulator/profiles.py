"""Named backends to rehearse on: each differs from the specification as implementations were seen to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from openeo_jobs.errors import UsageError
from openeo_jobs.simulator.deviations import (
    Answers,
    Deviations,
    Documents,
    Federation,
    Files,
    Lags,
    Listing,
)
from openeo_jobs.simulator.faults import Fault
from openeo_jobs.simulator.planning import Failures

SPECIFICATION = "specification"

_START = "POST /jobs/{job_id}/results"
_FILE = "GET /assets/{job_id}/{name}"
_LOST_CREATION = Fault(endpoint="POST /jobs", kind="drop", share=0.1, after_effect=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of backend; `summary` says in one sentence what it does.

    Periods are short, for a rehearsal in seconds: lags of half a second, logins of 1.5 s.
    """

    summary: str
    faults: tuple[Fault, ...] = ()
    deviations: Deviations = field(default_factory=Deviations)
    failures: Failures = field(default_factory=Failures)
    concurrent_jobs: int | None = None


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        SPECIFICATION: Profile(summary="Keeps to the openEO API 1.2.0."),
        "flaky-network": Profile(
            summary="Answers late, and drops connections before and after the effect, or when reused.",
            faults=(
                Fault(endpoint="*", kind="wait", share=0.2, seconds=(0.005, 0.05)),
                Fault(endpoint="*", kind="drop", share=0.03),
                Fault(endpoint="*", kind="drop", share=0.03, after_effect=True),
                _LOST_CREATION,
            ),
            deviations=Deviations(answers=Answers(resets_after_errors=True)),
        ),
        "overloaded": Profile(
            summary="Answers 5xx before and after the effect, some of them as HTML pages of a proxy.",
            faults=(
                Fault(endpoint="*", kind="answer", share=0.02, status=500, code="Internal"),
                Fault(endpoint="*", kind="answer", share=0.02),
                Fault(endpoint="*", kind="page", share=0.02, status=502, message="Bad Gateway"),
                Fault(endpoint="POST /jobs", kind="page", share=0.1, status=504, after_effect=True),
                Fault(endpoint=_START, kind="answer", share=0.1, status=500, after_effect=True),
            ),
        ),
        "rate-limited": Profile(
            summary="Answers 429 with Retry-After, also for a start beyond 4 batch jobs at a time.",
            faults=tuple(
                Fault(
                    endpoint=endpoint,
                    kind="answer",
                    share=share,
                    status=429,
                    code="TooManyRequests",
                    message="Too many requests.",
                    headers={"Retry-After": "1"},
                )
                for endpoint, share in (("POST /jobs", 0.05), (_START, 0.05), ("GET /jobs/{job_id}", 0.01))
            ),
            deviations=Deviations(answers=Answers(start_beyond=429)),
            concurrent_jobs=4,
        ),
        "late-registry": Profile(
            summary="Lists batch jobs late, finds them late (404), tells old statuses.",
            faults=(_LOST_CREATION,),
            deviations=Deviations(lags=Lags(listing_seconds=0.5, job_seconds=0.2, status_seconds=0.2)),
        ),
        "capped-listing": Profile(
            summary="Lists 20 batch jobs, of which only id, title, status and created; links to no other.",
            faults=(_LOST_CREATION,),
            deviations=Deviations(listing=Listing(cap=20, fields="few")),
        ),
        "bulky-listing": Profile(
            summary="Ignores the limit of a listing, and has whole processes in it.",
            faults=(_LOST_CREATION,),
            deviations=Deviations(listing=Listing(ignores_limit=True, fields="all")),
        ),
        "absent-member": Profile(
            summary="A federation, of which the member with half of the batch jobs is away for a second.",
            faults=(_LOST_CREATION,),
            deviations=Deviations(federation=Federation(member_share=0.5, away=(0.3, 1.0))),
        ),
        "short-logins": Profile(
            summary="Logins are valid for 1.5 s, then 403 TokenInvalid.",
            deviations=Deviations(token_seconds=1.5),
        ),
        "restarted": Profile(
            summary="Batch jobs vanish (404), run for ever, or end twice: canceled, then finished.",
            failures=Failures(vanished=0.1, endless=0.1, corrected=0.1),
        ),
        "odd-documents": Profile(
            summary="Location with //, dates without T, updated that stays, codes as numbers, logs as texts.",
            faults=(_LOST_CREATION,),
            deviations=Deviations(
                documents=Documents(
                    location="double_slash",
                    has_identifier=False,
                    has_plain_dates=True,
                    updated="frozen",
                    has_progress_as_text=True,
                    has_numbers_as_codes=True,
                    has_plain_logs=True,
                    has_null_as_object=True,
                )
            ),
            failures=Failures(out_of_memory=0.1),
        ),
        "bare-documents": Profile(
            summary="Location without scheme; neither created nor updated; no logs before the start.",
            faults=(_LOST_CREATION,),
            deviations=Deviations(
                documents=Documents(
                    location="no_scheme", has_identifier=False, updated="absent", has_created=False
                ),
                answers=Answers(early_logs=404),
            ),
            failures=Failures(out_of_memory=0.1),
        ),
        "other-answers": Profile(
            summary="Other statuses than specified: cancel 405, unknown batch job 422, bad token 401.",
            deviations=Deviations(
                answers=Answers(
                    start_active=200,
                    cancel=405,
                    delete=200,
                    failed_results=400,
                    early_results=200,
                    unknown_job=422,
                    bad_token=401,
                )
            ),
            failures=Failures(out_of_memory=0.1, vanished=0.1),
        ),
        "harsh-answers": Profile(
            summary="Errors where none are specified: a failed batch job is 400, an unknown one 500.",
            deviations=Deviations(
                answers=Answers(
                    start_active=400,
                    cancel=501,
                    delete=202,
                    failed_job=400,
                    failed_results=500,
                    early_results=500,
                    unknown_job=500,
                    bad_token=500,
                )
            ),
            failures=Failures(out_of_memory=0.1, vanished=0.1),
        ),
        "broken-downloads": Profile(
            summary="Files arrive truncated, shortened, corrupt, slowly; links are valid for a second.",
            faults=(
                Fault(endpoint=_FILE, kind="truncate", share=0.05),
                Fault(endpoint=_FILE, kind="shorten", share=0.03),
                Fault(endpoint=_FILE, kind="corrupt", share=0.03),
                Fault(endpoint=_FILE, kind="trickle", share=0.05, seconds=(0.1, 0.2)),
                Fault(endpoint=_FILE, kind="answer", share=0.03, status=403, code="SignatureExpired"),
            ),
            deviations=Deviations(files=Files(link_seconds=1.0)),
        ),
        "plain-file-server": Profile(
            summary="Files are on another host, which knows neither HEAD nor Range; some are truncated.",
            faults=(Fault(endpoint=_FILE, kind="truncate", share=0.1),),
            deviations=Deviations(files=Files(host="localhost", has_ranges=False, has_head=False)),
        ),
        "unsigned-links": Profile(
            summary="Files are on another host, and their links carry no signature (401).",
            deviations=Deviations(files=Files(host="localhost", is_signed=False)),
        ),
    }
)


def find_profile(name: str) -> Profile:
    """Return the profile *name*; raises `UsageError` where there is none."""
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[name]
