"""The named kinds of backends."""

import pytest

from openeo_jobs.errors import UsageError
from openeo_jobs.simulator import PROFILES, Deviations, Failures, Fault, Profile, Simulator


def test_the_default_keeps_to_the_specification():
    assert PROFILES["specification"] == Profile(summary=PROFILES["specification"].summary)


def test_every_other_profile_does_something_else_and_says_what_in_a_sentence():
    kinds = [(one.faults, one.deviations, one.failures) for one in PROFILES.values()]
    assert all(kinds.count(one) == 1 for one in kinds)
    assert all(one.summary.endswith(".") and len(one.summary) <= 100 for one in PROFILES.values())


def test_a_profile_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(UsageError, match="no profile 'nonsense'; there are: specification, flaky-network"):
        Simulator(profile="nonsense")


def test_a_profile_steers_the_backend(open_backend, open_api):
    api = open_api(open_backend(profile="other-answers"))
    assert api("GET", "/jobs/nobody").status_code == 422


def test_what_is_given_beside_a_profile_is_added_or_takes_precedence(open_backend, open_api, clock):
    fault = Fault(endpoint="GET /me", kind="answer", status=418)
    backend = open_backend(
        profile="other-answers",
        deviations=Deviations(),
        failures=Failures(out_of_memory=1),
        faults=[fault],
        concurrent_jobs=0,
    )
    api = open_api(backend)
    assert api("GET", "/me").status_code == 418
    assert api("GET", "/jobs/nobody").status_code == 404
    assert api.start(api.create()).json()["code"] == "ConcurrentJobLimit"
