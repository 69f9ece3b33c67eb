"""The watch: what leaves, how often, and who is told."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading

import openeo
import pytest
import requests
import requests_mock
import urllib3
from openeo.rest.connection import DEFAULT_TIMEOUT
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from openeo_jobs.backends.wire import watch, watching
from openeo_jobs.errors import BackendRefusedError, BackendUnavailableError
from openeo_jobs.jobs import Outcome

pytest_plugins = ["scripted_backend"]

GRAPH = {"add": {"process_id": "add", "arguments": {"x": 1, "y": 2}, "result": True}}
CREATED = {"OpenEO-Identifier": "j-1"}


def create(connection, title="tile 7"):
    return connection.create_job(GRAPH, title=title, validate=False)


def watched(backend, name="a", **kwargs):
    connection = backend.connect(**kwargs)
    watch(connection, name)
    return connection


def make_resilient(connection):
    """As openEO's own manager does."""
    retries = Retry(
        total=50,
        read=50,
        other=50,
        status=50,
        backoff_factor=0.0,
        status_forcelist=[500, 502, 503, 504],
        allowed_methods=["HEAD", "GET", "OPTIONS", "POST"],
    )
    connection.session.mount("https://", HTTPAdapter(max_retries=retries))
    connection.session.mount("http://", HTTPAdapter(max_retries=retries))


@pytest.fixture
def call(recorder):
    return recorder()


class TestCreating:
    def test_the_tag_ends_the_title(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        with watching(call):
            job = create(watched(backend))
        [seen] = backend.requests("POST", "/jobs")
        assert seen.json["title"] == "tile 7 [oj-c1-1-x]"
        assert seen.json["process"] == {"process_graph": GRAPH}
        assert job.job_id == "j-1"
        assert call.only("created") == (Outcome.CREATED, "j-1", None)

    def test_the_tag_is_the_title_where_there_was_none(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        with watching(call):
            create(watched(backend), title=None)
        assert backend.seen[-1].json["title"] == "[oj-c1-1-x]"

    def test_without_a_tag_the_body_stays_as_it_is(self, backend, answer, recorder):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        call = recorder(tag=None)
        with watching(call):
            create(watched(backend))
        fingerprint, can_tag = call.only("creating")[1:]
        assert backend.seen[-1].json["title"] == "tile 7"
        assert can_tag
        assert fingerprint == hashlib.sha256(backend.seen[-1].body).hexdigest()

    def test_the_fingerprint_is_that_of_the_body_before_the_tag(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        body = json.dumps({"process": {"process_graph": GRAPH}, "title": "ä"}).encode()
        connection = watched(backend)
        with watching(call):
            connection.session.post(backend.root + "/jobs", data=body)
        assert call.only("creating") == ("a", hashlib.sha256(body).hexdigest(), True)
        assert backend.seen[-1].json["title"] == "ä [oj-c1-1-x]"

    def test_a_body_that_is_no_json_object_passes_without_a_tag(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(400, {"code": "X", "message": "no"}))
        connection = watched(backend)
        for body in (b"[1, 2]", b"\x00\xff", b""):
            with watching(call):
                connection.session.post(backend.root + "/jobs", data=body)
            assert backend.seen[-1].body == body
        assert [can_tag for _, _, can_tag in call.all("creating")] == [False] * 3

    def test_the_request_of_the_user_is_not_changed(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend)
        prepared = requests.Request("POST", backend.root + "/jobs", json={"title": "t"}).prepare()
        with watching(call):
            connection.session.send(prepared)
            connection.session.send(prepared)
        assert [seen.json["title"] for seen in backend.requests("POST", "/jobs")] == ["t [oj-c1-1-x]"] * 2
        assert json.loads(prepared.body) == {"title": "t"}

    def test_a_refusal_by_the_watcher_keeps_the_request_here(self, backend, call):
        call.refusal = RuntimeError("disk full")
        with watching(call), pytest.raises(RuntimeError, match="disk full"):
            create(watched(backend))
        assert backend.requests("POST", "/jobs") == []
        assert call.all("created") == []

    def test_outside_of_a_call_nothing_is_touched(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend)
        with watching(call):
            pass
        create(connection)
        assert backend.seen[-1].json["title"] == "tile 7"
        assert call.events == []

    def test_another_thread_is_not_part_of_the_call(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend)
        with watching(call):
            thread = threading.Thread(target=create, args=(connection,))
            thread.start()
            thread.join()
        assert call.events == []

    def test_slashes_do_not_hide_a_create_request(self, backend, answer, call):
        for path in ("/openeo/1.2/jobs/", "/openeo//1.2//jobs"):
            backend.script["POST", path] = [answer(201, headers=CREATED)]
        connection = watched(backend)
        with watching(call):
            connection.session.post(backend.url + "/openeo/1.2/jobs/", json={})
            connection.session.post(backend.url + "/openeo//1.2//jobs", json={})
        assert [event[0] for event in call.all("created")] == [Outcome.CREATED] * 2

    def test_other_requests_pass(self, backend, answer, call):
        backend.on("POST", "/validation", answer(200, {"errors": []}))
        connection = watched(backend)
        with watching(call):
            connection.post("/validation", json={"title": "t"})
            requests.get(backend.root + "/")
        assert backend.requests("POST", "/validation")[0].json == {"title": "t"}
        assert call.events == []


class TestOutcomes:
    @pytest.mark.parametrize(
        ("status", "headers", "outcome", "batch_job_id"),
        [
            (201, {"OpenEO-Identifier": " j-1 "}, Outcome.CREATED, "j-1"),
            (201, {"Location": "https://x//openeo//jobs/j-2"}, Outcome.CREATED, "j-2"),
            (201, {"Location": "x/openeo/jobs/j-3"}, Outcome.CREATED, "j-3"),
            (200, {"Location": "/jobs/j-4", "OpenEO-Identifier": "j-5"}, Outcome.CREATED, "j-5"),
            (201, {}, Outcome.UNKNOWN, None),
            (201, {"Location": "https://x/jobs"}, Outcome.UNKNOWN, None),
            (301, {"Location": "/elsewhere"}, Outcome.NOT_CREATED, None),
            (303, {"Location": "/openeo/1.2/jobs/j-6"}, Outcome.UNKNOWN, None),
            (400, {}, Outcome.NOT_CREATED, None),
            (429, {}, Outcome.NOT_CREATED, None),
            (500, {}, Outcome.UNKNOWN, None),
            (504, {}, Outcome.UNKNOWN, None),
        ],
    )
    def test_an_answer_proves_what_it_proves(
        self, backend, answer, call, status, headers, outcome, batch_job_id
    ):
        backend.on("POST", "/jobs", answer(status, headers=headers))
        connection = watched(backend)
        with watching(call):
            connection.session.post(backend.root + "/jobs", json={})
        assert call.only("created")[:2] == (outcome, batch_job_id)
        assert len(backend.requests("POST", "/jobs")) == 1

    def test_no_connection_proves_that_nothing_was_created(self, plain_connection, free_port, call):
        connection = plain_connection(f"http://127.0.0.1:{free_port}")
        watch(connection, "a")
        with watching(call), pytest.raises(requests.ConnectionError):
            connection.session.post(f"http://127.0.0.1:{free_port}/jobs", json={})
        assert call.outcome is Outcome.NOT_CREATED
        assert call.only("saw")[1].reached is False

    def test_an_unknown_host_proves_that_nothing_was_created(self, plain_connection, call):
        connection = plain_connection("http://backend.invalid")
        connection.session.trust_env = False
        watch(connection, "a")
        with watching(call), pytest.raises(requests.ConnectionError):
            connection.session.post("http://backend.invalid/jobs", json={})
        assert call.outcome is Outcome.NOT_CREATED

    def test_a_proxy_that_is_not_there_proves_it_too(self, plain_connection, free_port, call):
        connection = plain_connection("https://backend.invalid")
        watch(connection, "a")
        proxies = {"https": f"http://127.0.0.1:{free_port}"}
        with watching(call), pytest.raises(requests.exceptions.ProxyError):
            connection.session.post("https://backend.invalid/jobs", json={}, proxies=proxies)
        assert call.outcome is Outcome.NOT_CREATED

    def test_a_connection_that_breaks_proves_nothing(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(closes=True))
        with watching(call), pytest.raises(requests.ConnectionError):
            create(watched(backend))
        assert call.outcome is Outcome.UNKNOWN
        assert call.only("saw")[1].reached is True

    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (requests.ReadTimeout("read"), Outcome.UNKNOWN),
            (
                requests.ConnectTimeout(
                    urllib3.exceptions.MaxRetryError(
                        None, "/jobs", urllib3.exceptions.ConnectTimeoutError("late")
                    )
                ),
                Outcome.NOT_CREATED,
            ),
            (
                requests.exceptions.SSLError(
                    urllib3.exceptions.MaxRetryError(
                        None, "/jobs", urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("expired"))
                    )
                ),
                Outcome.NOT_CREATED,
            ),
            (
                requests.exceptions.SSLError(
                    urllib3.exceptions.MaxRetryError(
                        None, "/jobs", urllib3.exceptions.SSLError(ssl.SSLError("bad record mac"))
                    )
                ),
                Outcome.UNKNOWN,
            ),
            (
                requests.exceptions.ProxyError(
                    urllib3.exceptions.MaxRetryError(
                        None, "/jobs", urllib3.exceptions.ProxyError("no", OSError("Tunnel: 502"))
                    )
                ),
                Outcome.UNKNOWN,
            ),
            (requests.exceptions.InvalidURL("no host"), Outcome.NOT_CREATED),
            (KeyboardInterrupt(), Outcome.UNKNOWN),
            (RuntimeError("a hook of the user"), Outcome.UNKNOWN),
        ],
    )
    def test_an_exception_proves_what_it_proves_and_goes_on(self, backend, call, error, outcome):
        class Raising(HTTPAdapter):
            def send(self, *_, **__):
                raise error

        connection = watched(backend)
        connection.session.mount("http://", Raising())
        with watching(call), pytest.raises(type(error)) as raised:
            create(connection)
        assert raised.value is error
        assert call.outcome is outcome

    def test_an_error_that_was_handled_before_proves_nothing(self, backend, answer, free_port, call):
        backend.on("POST", "/jobs", answer(closes=True))
        connection = watched(backend)
        try:
            requests.get(f"http://127.0.0.1:{free_port}")
        except requests.ConnectionError:
            with watching(call), pytest.raises(requests.ConnectionError):
                create(connection)
        assert call.outcome is Outcome.UNKNOWN

    def test_an_error_of_another_request_proves_nothing(self, backend, answer, free_port, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend)

        def report(response, **_):
            if response.request.method == "POST":
                response.close()
                requests.get(f"http://127.0.0.1:{free_port}")

        connection.session.hooks["response"].append(report)
        with watching(call), pytest.raises(requests.ConnectionError):
            create(connection)
        assert call.outcome is Outcome.UNKNOWN


class TestOnce:
    @pytest.mark.parametrize(("status", "closes"), [(504, False), (503, False), (0, True)])
    def test_a_create_request_arrives_once_although_the_session_retries(
        self, backend, answer, call, status, closes
    ):
        backend.on("POST", "/jobs", answer(status, closes=closes, headers={"Retry-After": "0"}))
        connection = watched(backend)
        make_resilient(connection)
        with watching(call), pytest.raises((openeo.rest.OpenEoApiPlainError, requests.ConnectionError)):
            create(connection)
        assert len(backend.requests("POST", "/jobs")) == 1
        assert call.outcome is Outcome.UNKNOWN

    def test_a_start_request_arrives_once_although_the_session_retries(self, backend, answer, call):
        backend.on("POST", "/jobs/j-1/results", answer(504), answer(202))
        connection = watched(backend)
        make_resilient(connection)
        with watching(call), pytest.raises(openeo.rest.OpenEoApiPlainError):
            connection.job("j-1").start()
        assert len(backend.requests("POST", "/jobs/j-1/results")) == 1

    def test_other_requests_are_retried_as_the_user_wants(self, backend, answer, call):
        backend.on("GET", "/jobs", answer(504), answer(503), answer(200, {"jobs": [], "links": []}))
        backend.on("POST", "/validation", answer(504), answer(200, {"errors": []}))
        connection = watched(backend)
        make_resilient(connection)
        with watching(call):
            connection.list_jobs()
            connection.post("/validation", json={})
        assert len(backend.requests("GET", "/jobs")) == 3
        assert len(backend.requests("POST", "/validation")) == 2

    def test_outside_of_a_call_retries_are_as_before(self, backend, answer):
        backend.on("POST", "/jobs", answer(504), answer(201, headers=CREATED))
        connection = watched(backend)
        make_resilient(connection)
        assert create(connection).job_id == "j-1"
        assert len(backend.requests("POST", "/jobs")) == 2

    def test_another_thread_keeps_its_retries_while_a_create_request_is_under_way(
        self, backend, answer, call
    ):
        backend.on("GET", "/jobs", answer(504), answer(200, {"jobs": [], "links": []}))
        connection = watched(backend)
        make_resilient(connection)

        def list_jobs_meanwhile(seen):
            thread = threading.Thread(target=connection.list_jobs)
            thread.start()
            thread.join(5)
            return answer(201, headers=CREATED)

        backend.on("POST", "/jobs", list_jobs_meanwhile)
        with watching(call):
            create(connection)
        assert len(backend.requests("GET", "/jobs")) == 2

    def test_redirects_are_not_followed(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(307, headers={"Location": "/openeo/1.2/jobs/"}))
        connection = watched(backend)
        with watching(call):
            response = connection.session.post(backend.root + "/jobs", json={})
        assert response.status_code == 307
        assert call.outcome is Outcome.NOT_CREATED

    def test_an_adapter_of_the_user_is_used_with_what_it_carries(self, backend, answer, call):
        class Marking(HTTPAdapter):
            def __init__(self, mark, **kwargs):
                super().__init__(**kwargs)
                self.mark = mark

            def send(self, request, **kwargs):
                request.headers["X-Mark"] = self.mark
                return super().send(request, **kwargs)

        backend.on("POST", "/jobs", answer(504))
        connection = watched(backend)
        connection.session.mount("http://", Marking("m", max_retries=Retry(9, allowed_methods=None)))
        with watching(call), pytest.raises(openeo.rest.OpenEoApiPlainError):
            create(connection)
        [seen] = backend.requests("POST", "/jobs")
        assert seen.headers["x-mark"] == "m"

    def test_nothing_of_it_stays_behind(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend)
        before = connection.session.get_adapter("http://x")
        with watching(call):
            create(connection)
        assert "get_adapter" not in connection.session.__dict__
        assert connection.session.get_adapter("http://x") is before

    def test_a_get_adapter_of_the_user_is_used_and_put_back(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(504))
        connection = watched(backend)
        adapter = HTTPAdapter(max_retries=Retry(9, allowed_methods=None, status_forcelist=[504]))
        connection.session.get_adapter = get_adapter = lambda url: adapter
        with watching(call), pytest.raises(openeo.rest.OpenEoApiPlainError):
            create(connection)
        assert connection.session.get_adapter is get_adapter
        assert len(backend.requests("POST", "/jobs")) == 1


class TestStarting:
    def test_the_watcher_knows_before_the_request_leaves(self, backend, answer, call):
        def check(seen):
            assert call.all("starting") == [("a", "j-1")]
            assert call.all("started") == []
            return answer(202)

        backend.on("POST", "/jobs/j-1/results", check)
        with watching(call):
            watched(backend).job("j-1").start()
        assert call.only("started") == ("a", "j-1", None)

    def test_a_refusal_by_the_watcher_keeps_the_request_here(self, backend, call):
        call.refusal = RuntimeError("finished already")
        with watching(call), pytest.raises(RuntimeError):
            watched(backend).job("j-1").start()
        assert backend.requests("POST", "/jobs/j-1/results") == []
        assert call.all("started") == []

    def test_the_watcher_hears_of_a_refusal_by_the_backend(self, backend, answer, call):
        error = {"code": "ConcurrentJobLimit", "message": "limit (2) is reached"}
        backend.on("POST", "/jobs/j-1/results", answer(400, error))
        with watching(call), pytest.raises(openeo.rest.OpenEoApiError):
            watched(backend).job("j-1").start()
        failure = call.only("started")[2]
        assert isinstance(failure, BackendRefusedError)
        assert (failure.http_status, failure.code) == (400, "ConcurrentJobLimit")

    def test_the_watcher_hears_of_a_connection_that_breaks(self, backend, answer, call):
        backend.on("POST", "/jobs/j-1/results", answer(closes=True))
        with watching(call), pytest.raises(requests.ConnectionError):
            watched(backend).job("j-1").start()
        failure = call.only("started")[2]
        assert isinstance(failure, BackendUnavailableError)
        assert failure.reached

    def test_an_interruption_while_a_refusal_is_handled_is_no_refusal(self, backend, answer, call):
        backend.on("POST", "/jobs/j-1/results", answer(400, {"code": "X", "message": "no"}))

        class Interrupted(HTTPAdapter):
            def send(self, *_, **__):
                raise KeyboardInterrupt

        connection = watched(backend)
        with watching(call), pytest.raises(KeyboardInterrupt):
            try:
                connection.job("j-1").start()
            except openeo.rest.OpenEoApiError:
                connection.session.mount("http://", Interrupted())
                connection.job("j-2").start()
        failure = call.all("started")[-1][2]
        assert isinstance(failure, BackendUnavailableError)
        assert failure.reached


class TestSaw:
    def test_every_failing_request_of_the_call_is_seen(self, backend, answer, call):
        backend.on("GET", "/jobs/j-1", answer(404, {"code": "JobNotFound", "message": "no"}))
        connection = watched(backend)
        with watching(call), pytest.raises(openeo.rest.OpenEoApiError):
            connection.job("j-1").status()
        name, error = call.only("saw")
        assert (name, error.http_status, error.code) == ("a", 404, "JobNotFound")
        assert str(error) == "[404] JobNotFound: no (GET /openeo/1.2/jobs/j-1)"

    def test_requests_elsewhere_are_not_seen(self, backend, other_backend, call):
        connection = watched(backend)
        with watching(call):
            connection.session.get(other_backend.url + "/nothing")
        assert call.events == []


class TestNames:
    def test_watching_twice_is_watching_once(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend)
        watch(connection, "a")
        with watching(call):
            create(connection)
        assert len(call.all("creating")) == 1
        assert backend.seen[-1].json["title"].count("oj-c1-1-x") == 1

    @pytest.mark.parametrize("name", ["a", "b"])
    def test_one_connection_under_two_names_belongs_to_the_backend_of_the_call(
        self, backend, answer, recorder, name
    ):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend, "a")
        watch(connection, "b")
        call = recorder(name)
        with watching(call):
            create(connection)
        assert call.only("creating")[0] == name

    def test_the_attempt_belongs_to_the_backend_through_which_it_left(
        self, backend, other_backend, answer, call
    ):
        other_backend.on("POST", "/jobs", answer(201, headers=CREATED))
        watched(backend, "a")
        with watching(call):
            create(watched(other_backend, "b"))
        assert call.only("creating")[0] == "b"

    def test_a_session_that_two_backends_share_is_told_apart_by_url(
        self, backend, other_backend, answer, call
    ):
        session = requests.Session()
        connections = [b.connect(session=session) for b in (backend, other_backend)]
        for connection, name in zip(connections, "ab", strict=True):
            watch(connection, name)
        other_backend.on("POST", "/jobs", answer(201, headers=CREATED))
        with watching(call):
            create(connections[1])
        assert call.only("creating")[0] == "b"

    def test_the_deeper_root_wins(self, plain_connection, call):
        session = requests.Session()
        watch(plain_connection("https://x.test", session=session), "a")
        watch(plain_connection("https://x.test/dev/", session=session), "b")
        with requests_mock.Mocker() as mocker, watching(call):
            mocker.post("https://x.test:443/dev/jobs", status_code=201, headers=CREATED)
            session.post("https://X.test:443/dev/jobs", json={})
        assert call.only("creating")[0] == "b"


class TestUnderRequestsMock:
    def connection(self, mocker):
        mocker.get("https://x.test/", json={"api_version": "1.2.0", "endpoints": []})
        return openeo.Connection("https://x.test")

    def test_started_before_the_watch(self, call):
        with requests_mock.Mocker() as mocker:
            connection = self.connection(mocker)
            watch(connection, "a")
            mocker.post("https://x.test/jobs", status_code=201, headers=CREATED)
            with watching(call):
                assert create(connection).job_id == "j-1"
            assert mocker.last_request.json()["title"] == "tile 7 [oj-c1-1-x]"
        assert call.outcome is Outcome.CREATED

    def test_started_after_the_watch_and_twice(self, call):
        with requests_mock.Mocker() as mocker:
            connection = self.connection(mocker)
        watch(connection, "a")
        for _ in range(2):
            with requests_mock.Mocker() as mocker, watching(call):
                mocker.post("https://x.test/jobs", status_code=201, headers=CREATED)
                create(connection)
                assert mocker.call_count == 1
        assert [event[0] for event in call.all("created")] == [Outcome.CREATED] * 2

    def test_on_the_session_itself(self, call):
        with requests_mock.Mocker() as mocker:
            connection = self.connection(mocker)
        with requests_mock.Mocker(session=connection.session) as mocker, watching(call):
            watch(connection, "a")
            mocker.post("https://x.test/jobs", status_code=201, headers=CREATED)
            create(connection)
        assert call.outcome is Outcome.CREATED

    def test_a_real_request_after_a_mocked_one_leaves_once(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(504))
        connection = watched(backend)
        make_resilient(connection)
        with requests_mock.Mocker() as mocker, watching(call):
            mocker.post(backend.root + "/jobs", status_code=201, headers=CREATED)
            create(connection)
        with watching(call), pytest.raises(openeo.rest.OpenEoApiPlainError):
            create(connection)
        assert len(backend.requests("POST", "/jobs")) == 1


class TestWrappers:
    def test_a_send_that_was_put_around_ours_is_kept(self, backend, answer, call):
        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        connection = watched(backend)
        ours, sent = connection.session.send, []

        def send(request, **kwargs):
            sent.append(request.method)
            return ours(request, **kwargs)

        connection.session.send = send
        watch(connection, "a")
        with watching(call):
            create(connection)
        assert sent == ["POST"]
        assert len(call.all("creating")) == 1
        assert len(backend.requests("POST", "/jobs")) == 1
        assert backend.seen[-1].json["title"] == "tile 7 [oj-c1-1-x]"

    def test_a_session_of_the_users_class_is_used(self, backend, answer, call):
        class Counting(requests.Session):
            count = 0

            def send(self, request, **kwargs):
                self.count += 1
                return super().send(request, **kwargs)

        backend.on("POST", "/jobs", answer(201, headers=CREATED))
        session = Counting()
        connection = watched(backend, session=session)
        before = session.count
        with watching(call):
            create(connection)
        assert session.count == before + 1
        assert call.outcome is Outcome.CREATED

    @pytest.mark.skipif(
        not hasattr(openeo.Connection, "try_access_token_refresh"), reason="an older client has none"
    )
    def test_a_new_token_within_the_call_makes_two_intents(self, backend, answer, call, monkeypatch):
        refused = answer(403, {"code": "TokenInvalid", "message": "expired"})
        backend.on("POST", "/jobs", refused, answer(201, headers=CREATED))
        connection = watched(backend)
        monkeypatch.setattr(connection, "try_access_token_refresh", lambda **_: True)
        with watching(call):
            create(connection)
        assert [event[0] for event in call.all("created")] == [Outcome.NOT_CREATED, Outcome.CREATED]
        titles = [seen.json["title"] for seen in backend.requests("POST", "/jobs")]
        assert titles == ["tile 7 [oj-c1-1-x]"] * 2


class Eager(Retry):
    """What a user may have made of it."""


def resilient(backend, make=Retry, **kwargs):
    connection = watched(backend, **kwargs)
    retries = make(total=3, backoff_factor=0, status_forcelist=[429, 502])
    connection.session.mount("http://", HTTPAdapter(max_retries=retries))
    return connection


class TestWaiting:
    """`start_job` holds up the round that it is called in, and with it the other backends."""

    def test_the_time_that_nobody_has_chosen_is_not_20_minutes(self, call):
        assert DEFAULT_TIMEOUT == 20 * 60, "openEO's client has another time-out now; see backends/tries.py"
        with requests_mock.Mocker() as mock:
            mock.get("http://a.test/", json={"api_version": "1.2.0", "endpoints": []})
            connection = openeo.Connection("http://a.test/")
            watch(connection, "a")
            with watching(call):
                connection.get("/")
                connection.get("/", timeout=None)
            connection.get("/")
            assert [one.timeout for one in mock.request_history[-3:]] == [(10, 120), (10, 120), 20 * 60]

    @pytest.mark.parametrize("seconds", [5, 300, 30 * 60])
    def test_a_time_that_the_user_has_chosen_is_kept(self, call, seconds):
        with requests_mock.Mocker() as mock:
            mock.get("http://a.test/", json={"api_version": "1.2.0", "endpoints": []})
            connection = openeo.Connection("http://a.test/", default_timeout=seconds)
            watch(connection, "a")
            with watching(call):
                connection.get("/")
            assert mock.last_request.timeout == seconds

    def test_a_silent_backend_is_not_asked_the_same_again(self, backend, answer, call):
        silence = threading.Event()

        def stay_silent(seen):
            silence.wait(20)
            return answer(closes=True)

        backend.on("GET", "/processes", stay_silent)
        connection = resilient(backend, default_timeout=0.3)
        with watching(call), pytest.raises(requests.ReadTimeout):
            connection.get("/processes")
        silence.set()
        assert len(backend.requests("GET", "/processes")) == 1
        assert isinstance(call.only("saw")[1], BackendUnavailableError)

    def test_nobody_sleeps_for_as_long_as_a_backend_asks_to(self, backend, answer, call):
        error = {"code": "TooManyRequests", "message": "slow down"}
        backend.on("GET", "/processes", answer(429, error, headers={"Retry-After": "3600"}))
        with watching(call), pytest.raises(openeo.rest.OpenEoApiError):
            resilient(backend).get("/processes")
        assert len(backend.requests("GET", "/processes")) == 4
        assert call.only("saw")[1].retry_after is not None

    def test_what_passes_is_asked_again(self, backend, answer, call):
        backend.on("GET", "/processes", answer(502), answer(closes=True), answer(200, {"processes": []}))
        with watching(call):
            assert resilient(backend).get("/processes").json() == {"processes": []}
        assert call.all("saw") == []

    def test_rules_of_the_users_own_are_kept(self, backend, answer, call):
        backend.on("GET", "/processes", answer(502))
        with watching(call), pytest.raises(requests.exceptions.RetryError):
            resilient(backend, Eager).get("/processes")
        assert len(backend.requests("GET", "/processes")) == 4

    def test_retries_are_the_users_again_outside_of_the_call(self, backend, answer, call):
        backend.on("GET", "/processes", answer(200, {"processes": []}))
        connection = resilient(backend)
        before = connection.session.get_adapter("http://x")
        with watching(call):
            connection.get("/processes")
        assert connection.session.get_adapter("http://x") is before
        assert type(before.max_retries) is Retry
