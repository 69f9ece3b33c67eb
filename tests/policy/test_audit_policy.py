"""What an audit makes of the facts: wrong, fine, or not checked; and where unknown batch jobs come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openeo_jobs.jobs import BatchJob, Listing, Observation, Outcome
from openeo_jobs.policy.audit import (
    Audit,
    BackendFacts,
    Facts,
    Finding,
    Verdict,
    judge_backend,
    judge_database,
)
from openeo_jobs.policy.orphans import Origin, rank, sort_out
from openeo_jobs.policy.tags import Tag

TAG = Tag(text="oj-3f9k2a-1-abcde", row=1)


def make_facts(**overrides: Any) -> Facts:
    values: dict[str, Any] = {"rows": 3, "attempts": 3, "batch_jobs": 3, "corruptions": (), "shared": {}}
    values |= {"broken_references": 0, "misplaced": (), "stuck": (), "waiting": (), "unknown": ()}
    return Facts(**(values | overrides))


def make_listing(*, is_complete: bool = True, **words: str) -> Listing:
    seen = tuple(Observation(batch_job_id=one, status=word, title="tile") for one, word in words.items())
    return Listing(batch_jobs=seen, is_complete=is_complete)


UNTITLED = Listing(batch_jobs=(Observation(batch_job_id="j-1", status="created"),), is_complete=True)


def verdicts(findings: list[Finding]) -> dict[str, Verdict]:
    return {finding.check: finding.verdict for finding in findings}


def make_audit(*findings: Finding) -> Audit:
    return Audit(database=Path("x"), rows=1, attempts=1, batch_jobs=1, findings=findings)


def test_attempts_of_other_accounts_are_not_checked_and_counted() -> None:
    findings = judge_backend(BackendFacts(name="north", listing=make_listing(), others=3))
    assert str(findings[-1]).startswith("north: attempts of other accounts: 3 not checked")
    assert not make_audit(*findings).is_wrong
    assert not make_audit(*findings).is_whole


def test_a_database_without_faults_is_fine_but_for_what_nobody_can_know() -> None:
    findings = judge_database(make_facts())
    assert [f.check for f in findings if f.verdict is not Verdict.FINE] == ["computed twice in one attempt"]
    assert not make_audit(*findings).is_wrong
    assert make_audit(*findings).is_whole


@pytest.mark.parametrize(
    ("facts", "check", "verdict"),
    [
        ({"corruptions": ["page 3 is never used"]}, "file is whole", Verdict.WRONG),
        ({"broken_references": 2}, "references lead somewhere", Verdict.WRONG),
        ({"misplaced": [7]}, "rows at an attempt of another row", Verdict.WRONG),
        ({"shared": {"j-1": [1, 2]}}, "batch jobs that several rows chose", Verdict.NOTE),
        ({"stuck": [7]}, "without a way on", Verdict.WRONG),
        ({"waiting": [7]}, "that wait for a person", Verdict.WRONG),
        ({"unknown": [7]}, "with a create request of unknown outcome", Verdict.NOT_CHECKED),
    ],
)
def test_each_fault_of_a_database_is_told(facts: dict[str, Any], check: str, verdict: Verdict) -> None:
    findings = judge_database(make_facts(**facts))
    assert verdicts(findings)[check] is verdict
    assert make_audit(*findings).is_wrong is (verdict is Verdict.WRONG)
    (told,) = [finding for finding in findings if finding.check == check]
    assert "7" in told.detail or told.number in (1, 2)


def test_what_could_not_be_asked_is_not_checked_and_never_fine() -> None:
    findings = judge_backend(BackendFacts(name="north", reason="no login"))
    assert [str(finding) for finding in findings] == ["north: what is there: not checked (no login)"]
    assert not make_audit(*findings).is_whole


def test_orphans_that_the_database_knows_are_wrong_without_asking() -> None:
    findings = judge_backend(BackendFacts(name="north", reason="no login", orphans={"j-1": 3}))
    assert verdicts(findings)["orphans, as the database knows them"] is Verdict.WRONG


@pytest.mark.parametrize(
    ("listing", "keeps_titles"),
    [(make_listing(is_complete=False), True), (make_listing(), False), (UNTITLED, None)],
    ids=["incomplete", "titles dropped", "no title at all"],
)
def test_what_a_listing_cannot_show_is_not_checked(listing: Listing, keeps_titles: bool | None) -> None:
    findings = judge_backend(BackendFacts(name="north", listing=listing, keeps_titles=keeps_titles))
    assert set(verdicts(findings).values()) == {Verdict.NOT_CHECKED}


def test_what_an_incomplete_listing_does_show_is_wrong_all_the_same() -> None:
    listing = make_listing(is_complete=False, j1="created")
    findings = judge_backend(BackendFacts(name="north", listing=listing, orphans={"j1": 3}))
    assert verdicts(findings)["orphans, never started"] is Verdict.WRONG


def test_orphans_that_were_started_are_told_apart() -> None:
    facts = BackendFacts(
        name="north",
        listing=make_listing(j1="created", j2="running", j3="created"),
        orphans={"j1": 1, "j2": 2, "j3": 3, "gone": 4},
        started=frozenset({"j3"}),
    )
    details = {finding.check: finding.detail for finding in judge_backend(facts)}
    assert details["orphans, never started"] == "j1 (row 1)"
    assert details["orphans that were started"] == "j2 (row 2), j3 (row 3)"


def test_an_orphan_that_is_gone_is_wrong_no_more() -> None:
    findings = judge_backend(BackendFacts(name="north", listing=make_listing(), orphans={"gone": 4}))
    assert set(verdicts(findings).values()) == {Verdict.FINE}


def test_a_batch_job_under_way_that_is_not_listed_is_a_note() -> None:
    findings = judge_backend(BackendFacts(name="north", listing=make_listing(), active={"j1": 4}))
    assert verdicts(findings)["of rows under way, and not listed"] is Verdict.NOTE


def test_create_requests_without_a_tag_leave_a_doubt() -> None:
    findings = judge_backend(BackendFacts(name="north", listing=make_listing(), untagged=3))
    assert verdicts(findings)["orphans without a tag"] is Verdict.NOT_CHECKED


def test_unknown_batch_jobs_come_from_where_their_tag_says() -> None:
    def post(number: int, outcome: Outcome, batch_job_id: str | None = None) -> BatchJob:
        return BatchJob(id=number, backend_name="north", outcome=outcome, batch_job_id=batch_job_id)

    unknown = [
        (Observation(batch_job_id=name, status="created"), TAG, one)
        for name, one in {
            "stray": None,
            "late": post(1, Outcome.NOT_CREATED),
            "later": post(1, Outcome.NOT_CREATED),
            "copy": post(2, Outcome.CREATED, "j-2"),
            "in doubt": post(3, Outcome.UNKNOWN),
        }.items()
    ]
    assert [(find.seen.batch_job_id, find.origin) for find in sort_out(unknown)] == [
        ("stray", Origin.STRAY),
        ("late", Origin.LATE),
        ("later", Origin.COPY),
        ("copy", Origin.COPY),
    ]


def test_what_has_come_furthest_is_adopted_first() -> None:
    words = ["error", "created", "running", None, "finished", "queued"]
    assert sorted(words, key=rank)[:4] == ["finished", "running", "queued", "created"]
