"""Logins that expire, by themselves and on demand."""

import pytest

from openeo_jobs.simulator import Answers, Deviations


def test_a_token_expires_and_logging_in_again_gives_another(open_backend, open_api, clock):
    backend = open_backend(deviations=Deviations(token_seconds=60))
    api = open_api(backend)
    clock.advance(59)
    assert api("GET", "/me").status_code == 200
    clock.advance(1)
    answer = api("GET", "/me")
    assert (answer.status_code, answer.json()["code"]) == (403, "TokenInvalid")
    assert open_api(backend)("GET", "/me").status_code == 200


@pytest.mark.parametrize(
    ("status", "code"), [(401, "TokenInvalid"), (403, "TokenInvalid"), (500, "Internal")]
)
def test_a_bad_token_is_answered_as_the_deviation_says(open_backend, open_api, status, code):
    api = open_api(open_backend(deviations=Deviations(answers=Answers(bad_token=status))))
    api.session.headers["Authorization"] = "Bearer basic//nonsense"
    answer = api("GET", "/me")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_tokens_expire_on_demand_for_good(backend, api, open_api):
    backend.expire_tokens()
    assert api("GET", "/me").status_code == 403
    fresh = open_api(backend)
    assert fresh("GET", "/me").status_code == 200
    backend.stop()
    backend.start()
    assert (api("GET", "/me").status_code, fresh("GET", "/me").status_code) == (403, 200)


def test_the_time_of_a_token_cannot_be_forged(open_backend, open_api, clock):
    api = open_api(open_backend(deviations=Deviations(token_seconds=60)))
    claims = api.session.headers["Authorization"].split(".")
    claims[2] = "0"
    api.session.headers["Authorization"] = ".".join(claims)
    assert api("GET", "/me").status_code == 403
