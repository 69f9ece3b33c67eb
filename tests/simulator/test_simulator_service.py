"""What the simulator says of itself; logging in; validation."""

import pytest
import requests


def test_the_capabilities_list_exactly_the_endpoints_that_there_are(api):
    capabilities = api("GET", "/").json()
    assert (capabilities["api_version"], capabilities["billing"]["currency"]) == ("1.2.0", "credits")
    for endpoint in capabilities["endpoints"]:
        path = endpoint["path"].replace("{job_id}", "x").replace("{collection_id}", "SENTINEL2_L2A")
        for method in endpoint["methods"]:
            answer = api(method, path)
            assert answer.status_code != 405
            assert answer.status_code != 404 or answer.json()["code"] == "JobNotFound"


def test_the_well_known_document_leads_to_the_backend(backend):
    (version,) = requests.get(f"{backend.url}/.well-known/openeo", timeout=10).json()["versions"]
    assert (version["url"], version["api_version"]) == (f"{backend.url}/", "1.2.0")


@pytest.mark.parametrize("path", ["/conformance", "/file_formats", "/collections", "/processes"])
def test_public_documents_need_no_login(backend, path):
    assert requests.get(backend.url + path, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, "AuthenticationRequired"),
        ("Bearer basic//wrong", 403, "TokenInvalid"),
        ("Bearer basic//dXNlcg.0123", 403, "TokenInvalid"),
        ("Bearer basic//dXNlcg.é", 403, "TokenInvalid"),
        ("Basic dXNlcjpwYXNzd29yZA==", 403, "TokenInvalid"),
    ],
)
def test_a_request_without_a_valid_token_is_refused(backend, authorization, status, code):
    headers = {"Authorization": authorization.encode()} if authorization else {}
    for path in ("/jobs", "/me", "/jobs/x", "/jobs/x/results"):
        answer = requests.get(backend.url + path, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("auth", "status", "code"),
    [(None, 401, "AuthenticationRequired"), (("user", "wrong"), 403, "CredentialsInvalid")],
)
def test_a_wrong_password_is_refused(backend, auth, status, code):
    answer = requests.get(f"{backend.url}/credentials/basic", auth=auth, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("user", ["user", "jörg@example.org"])
def test_me_is_who_logged_in(backend, open_api, user):
    assert open_api(backend, user.encode())("GET", "/me").json()["user_id"] == user


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/jobs", 405)])
def test_what_does_not_exist_is_refused_in_openeo_form(api, method, path, status):
    answer = api(method, path)
    assert answer.status_code == status
    assert set(answer.json()) >= {"code", "message"}


def test_a_process_that_would_run_is_valid(api):
    process = api.get(api.create())["process"]
    assert api("POST", "/validation", json=process).json() == {"errors": []}


@pytest.mark.parametrize(
    "node",
    [
        5,
        {},
        {"process_id": ["max"]},
        {"process_id": "load_collection", "arguments": 5},
        {"process_id": "load_collection", "arguments": {"id": ["x"]}},
        {
            "process_id": "load_collection",
            "arguments": {"id": "SENTINEL2_L2A", "bands": 5, "spatial_extent": "x"},
        },
    ],
)
def test_a_process_that_makes_no_sense_breaks_nothing(api, clock, node):
    process = {"process_graph": {"a": node}}
    assert api("POST", "/validation", json=process).status_code == 200
    batch_job_id = api.create(process=process)
    api.start(batch_job_id)
    clock.advance(111)
    assert api("GET", f"/jobs/{batch_job_id}/results").status_code in (200, 424)


def test_validation_finds_unknown_processes_collections_and_bands_at_any_depth(api):
    graph = {
        "a": {"process_id": "load_collection", "arguments": {"id": "NOTHING"}},
        "b": {"process_id": "load_collection", "arguments": {"id": "SENTINEL2_L2A", "bands": ["B04", "B99"]}},
        "c": {
            "process_id": "reduce_dimension",
            "arguments": {"reducer": {"process_graph": {"d": {"process_id": "maximum", "arguments": {}}}}},
        },
        "e": {"process_id": "my_own", "namespace": "user", "arguments": {}},
    }
    errors = api("POST", "/validation", json={"process_graph": graph}).json()["errors"]
    assert [error["code"] for error in errors] == [
        "CollectionNotFound",
        "ProcessParameterInvalid",
        "ProcessUnsupported",
    ]
    assert "B99" in errors[1]["message"]
