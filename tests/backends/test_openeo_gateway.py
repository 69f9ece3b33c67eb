"""The gateway over a Connection, against a backend that answers by script."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from openeo.rest.auth.auth import BearerAuth

from openeo_jobs.backends.openeo import OpenEOGateway
from openeo_jobs.errors import BackendAnswerError, BackendRefusedError, BackendUnavailableError

pytest_plugins = ["scripted_backend"]


@pytest.fixture
def connection(backend, plain_connection):
    return plain_connection(backend.root, auth=BearerAuth("basic//old"))


@pytest.fixture
def gateway(connection):
    return OpenEOGateway("a", lambda: connection, timeout_seconds=5)


def entries(count, start=0):
    return [{"id": f"j-{n}", "status": "created", "title": f"t{n}"} for n in range(start, start + count)]


class TestBatchJob:
    def test_everything_that_a_backend_says_arrives(self, backend, answer, gateway):
        document = {
            "id": "j-1",
            "status": "finished",
            "title": "t",
            "created": "2024-01-01T00:00:00Z",
            "costs": 4.5,
            "usage": {"cpu": {"value": 12.5, "unit": "cpu-seconds"}},
            "more": 1,
        }
        backend.on("GET", "/jobs/j-1", answer(json=document))
        seen = gateway.get_batch_job("j-1")
        assert (seen.batch_job_id, seen.status, seen.title, seen.costs) == ("j-1", "finished", "t", 4.5)
        assert (seen.created, seen.usage, seen.metadata) == (document["created"], document["usage"], document)

    @pytest.mark.parametrize(
        ("costs", "read"),
        [("12.5", 12.5), ("free", None), (None, None), (True, None), ([], None), ("nan", None), (0, 0.0)],
    )
    def test_costs_are_a_number_or_unknown(self, backend, answer, gateway, costs, read):
        backend.on("GET", "/jobs/j-1", answer(json={"status": "running", "costs": costs, "usage": None}))
        seen = gateway.get_batch_job("j-1")
        assert seen.costs == read
        assert (seen.batch_job_id, seen.usage, seen.title) == ("j-1", {}, None)

    @pytest.mark.parametrize("document", [{}, {"status": None}, {"status": 3}, {"status": ""}, []])
    def test_without_a_status_it_is_no_answer(self, backend, answer, gateway, document):
        backend.on("GET", "/jobs/j-1", answer(json=document))
        with pytest.raises(BackendAnswerError):
            gateway.get_batch_job("j-1")

    def test_an_html_page_instead_of_json_is_no_answer(self, backend, answer, gateway):
        backend.on("GET", "/jobs/j-1", answer(body=b"<html><body>Please <b>log in</b></body></html>"))
        with pytest.raises(BackendAnswerError, match=r"is: Please log in \(GET /openeo/1.2/jobs/j-1\)"):
            gateway.get_batch_job("j-1")

    def test_a_refusal_says_where_and_why(self, backend, answer, gateway):
        backend.on("GET", "/jobs/j-1", answer(404, {"code": "JobNotFound", "message": "unknown"}))
        with pytest.raises(BackendRefusedError) as raised:
            gateway.get_batch_job("j-1")
        assert (raised.value.http_status, raised.value.code) == (404, "JobNotFound")
        assert str(raised.value) == "[404] JobNotFound: unknown (GET /openeo/1.2/jobs/j-1)"

    def test_an_integer_error_code_is_text(self, backend, answer, gateway):
        backend.on("GET", "/jobs/j-1", answer(400, {"code": 400, "message": "x"}))
        with pytest.raises(BackendRefusedError) as raised:
            gateway.get_batch_job("j-1")
        assert raised.value.code == "400"

    def test_5xx_is_unavailable(self, backend, answer, gateway):
        backend.on("GET", "/jobs/j-1", answer(503, body=b"<html>" + b"x " * 5000 + b"</html>"))
        with pytest.raises(BackendUnavailableError) as raised:
            gateway.get_batch_job("j-1")
        assert raised.value.reached
        assert raised.value.http_status == 503
        assert len(str(raised.value)) < 400

    def test_nobody_there_is_unavailable_and_not_reached(self, plain_connection, free_port):
        connection = plain_connection(f"http://127.0.0.1:{free_port}")
        with pytest.raises(BackendUnavailableError) as raised:
            OpenEOGateway("a", lambda: connection).get_batch_job("j-1")
        assert not raised.value.reached

    def test_ids_are_quoted(self, backend, answer, gateway):
        backend.on("GET", "/jobs/a%2Fb~1", answer(json={"status": "queued"}))
        assert gateway.get_batch_job("a/b~1").status == "queued"


class TestBrokenConnections:
    def test_a_get_is_repeated_once(self, backend, answer, gateway):
        backend.on("GET", "/jobs/j-1", answer(closes=True), answer(json={"status": "queued"}))
        assert gateway.get_batch_job("j-1").status == "queued"

    def test_and_no_more(self, backend, answer, gateway):
        backend.on("GET", "/jobs/j-1", answer(closes=True))
        with pytest.raises(BackendUnavailableError):
            gateway.get_batch_job("j-1")
        assert len(backend.requests("GET", "/jobs/j-1")) == 2

    def test_a_start_is_never_repeated(self, backend, answer, gateway):
        backend.on("POST", "/jobs/j-1/results", answer(closes=True), answer(202))
        with pytest.raises(BackendUnavailableError) as raised:
            gateway.start("j-1")
        assert raised.value.reached
        assert len(backend.requests("POST", "/jobs/j-1/results")) == 1

    def test_a_stop_is_not_repeated(self, backend, answer, gateway):
        backend.on("DELETE", "/jobs/j-1/results", answer(closes=True), answer(204))
        with pytest.raises(BackendUnavailableError):
            gateway.stop("j-1")


class TestStartAndStop:
    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_2xx_is_fine(self, backend, answer, gateway, status):
        backend.on("POST", "/jobs/j-1/results", answer(status))
        backend.on("DELETE", "/jobs/j-1/results", answer(status))
        gateway.start("j-1")
        gateway.stop("j-1")

    @pytest.mark.parametrize("status", [302, 400, 402, 405, 409, 429])
    def test_3xx_and_4xx_are_refusals(self, backend, answer, gateway, status):
        headers = {"Location": "/elsewhere"} if status == 302 else {}
        backend.on("POST", "/jobs/j-1/results", answer(status, headers=headers))
        backend.on("DELETE", "/jobs/j-1/results", answer(status, headers=headers))
        for send in (gateway.start, gateway.stop):
            with pytest.raises(BackendRefusedError) as raised:
                send("j-1")
            assert raised.value.http_status == status


class TestTokens:
    def expire(self, backend, answer, status=403, code="TokenInvalid"):
        def check(seen):
            if seen.headers.get("authorization") == "Bearer basic//new":
                return answer(json={"status": "running"})
            return answer(status, {"code": code, "message": "expired"})

        backend.on("GET", "/jobs/j-1", check)
        backend.on("POST", "/jobs/j-1/results", check)

    def renew(self, connection):
        connection.refreshes = 0

        def refresh():
            connection.refreshes += 1
            connection.auth = BearerAuth("basic//new")
            return True

        connection.try_access_token_refresh = refresh

    def test_the_bearer_is_that_of_the_connection_at_every_request(
        self, backend, answer, gateway, connection
    ):
        backend.on("GET", "/jobs/j-1", answer(json={"status": "running"}))
        gateway.get_batch_job("j-1")
        connection.auth = BearerAuth("oidc/x/2")
        gateway.get_batch_job("j-1")
        sent = [seen.headers["authorization"] for seen in backend.requests("GET", "/jobs/j-1")]
        assert sent == ["Bearer basic//old", "Bearer oidc/x/2"]
        assert backend.seen[-1].headers["user-agent"] == "tests"

    @pytest.mark.parametrize(("status", "code"), [(403, "TokenInvalid"), (401, "AuthenticationRequired")])
    def test_a_token_that_expired_is_renewed(self, backend, answer, gateway, connection, status, code):
        self.expire(backend, answer, status, code)
        self.renew(connection)
        assert gateway.get_batch_job("j-1").status == "running"
        gateway.start("j-1")
        assert connection.refreshes == 1

    def test_a_start_that_was_refused_for_an_old_token_is_sent_again(
        self, backend, answer, gateway, connection
    ):
        self.expire(backend, answer)
        self.renew(connection)
        gateway.start("j-1")
        assert len(backend.requests("POST", "/jobs/j-1/results")) == 2

    def test_many_threads_renew_once(self, backend, answer, gateway, connection):
        together = threading.Barrier(4)
        self.expire(backend, answer)
        self.renew(connection)

        def get(_):
            together.wait(5)
            return gateway.get_batch_job("j-1").status

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(get, range(4))) == ["running"] * 4
        assert connection.refreshes == 1

    def test_what_cannot_be_renewed_is_a_refusal(self, backend, answer, gateway, connection):
        self.expire(backend, answer)
        for refresh in (None, lambda: False):
            connection.try_access_token_refresh = refresh
            with pytest.raises(BackendRefusedError) as raised:
                gateway.get_batch_job("j-1")
            assert raised.value.code == "TokenInvalid"
        assert len(backend.requests("GET", "/jobs/j-1")) == 2

    def test_other_refusals_renew_nothing(self, backend, answer, gateway, connection):
        self.expire(backend, answer, 403, "Forbidden")
        self.renew(connection)
        with pytest.raises(BackendRefusedError):
            gateway.get_batch_job("j-1")
        assert connection.refreshes == 0

    def test_a_new_token_that_is_refused_too_is_not_renewed_again(self, backend, answer, gateway, connection):
        backend.on("GET", "/jobs/j-1", answer(401))
        self.renew(connection)
        with pytest.raises(BackendRefusedError):
            gateway.get_batch_job("j-1")
        assert connection.refreshes == 1

    def test_the_bearer_does_not_follow_a_redirect_to_another_host(
        self, backend, other_backend, answer, gateway
    ):
        elsewhere = other_backend.root.replace("127.0.0.1", "localhost") + "/jobs/j-1"
        backend.on("GET", "/jobs/j-1", answer(307, headers={"Location": elsewhere}))
        other_backend.on("GET", "/jobs/j-1", answer(json={"status": "running"}))
        gateway.get_batch_job("j-1")
        assert "authorization" not in other_backend.seen[-1].headers

    def test_settings_of_the_users_session_are_taken_over(
        self, backend, answer, gateway, connection, free_port
    ):
        backend.on("GET", "/jobs/j-1", answer(json={"status": "running"}))
        gateway.get_batch_job("j-1")
        connection.session.proxies = {"http": f"http://127.0.0.1:{free_port}"}
        connection.session.trust_env = False
        with pytest.raises(BackendUnavailableError):
            gateway.get_batch_job("j-1")


class TestListing:
    def listed(self, gateway):
        listing = gateway.list_batch_jobs()
        return [job.batch_job_id for job in listing.batch_jobs], listing.is_complete

    def paged(self, backend, answer, total, *, limits=True, links=True, cap=None):
        """`limits`: it obeys `limit`; `links`: it gives next links; `cap`: what it never exceeds."""

        def give(seen):
            offset = int(seen.query.get("offset", 0))
            size = int(seen.query["limit"]) if limits else total
            size = min(size, cap or size)
            following = [{"rel": "self", "href": "x"}]
            if links and offset + size < total:
                following.append({"rel": "next", "href": f"jobs?limit={size}&offset={offset + size}"})
            return answer(json={"jobs": entries(total)[offset : offset + size], "links": following})

        backend.on("GET", "/jobs", give)

    @pytest.mark.parametrize("total", [0, 3, 10, 20, 99, 100, 101, 200, 350])
    def test_every_page_is_read(self, backend, answer, gateway, total):
        self.paged(backend, answer, total)
        ids, is_complete = self.listed(gateway)
        assert ids == [f"j-{n}" for n in range(total)]
        assert is_complete

    @pytest.mark.parametrize("total", [3, 10, 101, 250])
    def test_a_backend_that_gives_everything_at_once_is_complete(self, backend, answer, gateway, total):
        self.paged(backend, answer, total, limits=False, links=False)
        ids, is_complete = self.listed(gateway)
        assert len(ids) == total
        assert is_complete

    @pytest.mark.parametrize("total", [100, 500])
    def test_a_round_number_without_a_link_proves_nothing(self, backend, answer, gateway, total):
        self.paged(backend, answer, total, limits=False, links=False)
        ids, is_complete = self.listed(gateway)
        assert len(ids) == total
        assert not is_complete

    @pytest.mark.parametrize("cap", [10, 20, 50, 100])
    def test_a_capped_page_without_links_proves_nothing(self, backend, answer, gateway, cap):
        self.paged(backend, answer, 250, links=False, cap=cap)
        assert self.listed(gateway) == ([f"j-{n}" for n in range(cap)], False)

    def test_a_larger_page_with_room_left_proves_it(self, backend, answer, gateway):
        self.paged(backend, answer, 150, links=False)
        ids, is_complete = self.listed(gateway)
        assert len(ids) == 150
        assert is_complete

    def test_a_part_of_a_federation_that_is_missing_is_incomplete(self, backend, answer, gateway):
        page = {"jobs": entries(1), "links": [], "federation:missing": ["b"]}
        backend.on("GET", "/jobs", answer(json=page))
        assert self.listed(gateway) == (["j-0"], False)
        backend.on("GET", "/jobs", answer(json=page | {"federation:missing": []}))
        assert self.listed(gateway) == (["j-0"], True)

    def test_an_entry_without_id_is_incomplete(self, backend, answer, gateway):
        backend.on("GET", "/jobs", answer(json={"jobs": [{"status": "created"}, None, *entries(1)]}))
        assert self.listed(gateway) == (["j-0"], False)

    def test_links_in_a_circle_end(self, backend, answer, gateway):
        page = {"jobs": entries(2), "links": [{"rel": "next", "href": "/openeo/1.2/jobs?limit=100"}]}
        backend.on("GET", "/jobs", answer(json=page))
        assert self.listed(gateway) == (["j-0", "j-1"], False)

    def test_links_to_ever_the_same_page_end(self, backend, answer, gateway):
        def give(seen):
            number = int(seen.query.get("n", 0)) + 1
            return answer(json={"jobs": entries(2), "links": [{"rel": "next", "href": f"jobs?n={number}"}]})

        backend.on("GET", "/jobs", give)
        assert self.listed(gateway) == (["j-0", "j-1"], False)
        assert len(backend.seen) == 2

    def test_a_link_to_another_host_is_not_followed(self, backend, other_backend, answer, gateway):
        link = {"rel": "next", "href": other_backend.root + "/jobs?page=2"}
        backend.on("GET", "/jobs", answer(json={"jobs": entries(2), "links": [link]}))
        assert self.listed(gateway) == (["j-0", "j-1"], False)
        assert other_backend.seen == []

    def test_no_list_is_no_answer(self, backend, answer, gateway):
        for document in ({"jobs": None}, {}, {"jobs": {}}):
            backend.on("GET", "/jobs", answer(json=document))
            with pytest.raises(BackendAnswerError):
                gateway.list_batch_jobs()

    def test_a_page_that_fails_fails_the_listing(self, backend, answer, gateway):
        first = {"jobs": entries(2), "links": [{"rel": "next", "href": "jobs?n=1"}]}
        backend.on("GET", "/jobs", answer(json=first), answer(502))
        with pytest.raises(BackendUnavailableError):
            gateway.list_batch_jobs()

    def test_the_process_is_left_out(self, backend, answer, gateway):
        backend.on("GET", "/jobs", answer(json={"jobs": [{"id": "j", "process": {}, "plan": "x"}]}))
        [job] = gateway.list_batch_jobs().batch_jobs
        assert (job.metadata, job.status) == ({"id": "j", "plan": "x"}, "")


class TestLogs:
    def test_every_page_is_read_and_other_levels_are_left_out(self, backend, answer, gateway):
        pages = [
            {"logs": [{"level": "error", "message": "1"}, {"level": "info", "message": "2"}], "links": []},
            {"logs": ["3", {"message": "4"}, 5, {"level": "ERROR", "message": "6"}]},
        ]
        pages[0]["links"] = [{"rel": "next", "href": "?offset=2"}]
        backend.on("GET", "/jobs/j-1/logs", answer(json=pages[0]), answer(json=pages[1]))
        logs = gateway.get_error_logs("j-1")
        assert [entry["message"] for entry in logs] == ["1", "3", "4", "6"]
        assert logs[1] == {"level": "error", "message": "3"}
        assert backend.seen[-2].query == {"level": "error"}
        assert backend.seen[-1].query == {"offset": "2"}

    def test_the_last_line_is_that_of_any_level_on_the_last_page(self, backend, answer, gateway):
        pages = [
            {"logs": [{"level": "error", "message": "1"}], "links": [{"rel": "next", "href": "?offset=1"}]},
            {"logs": [{"level": "info", "message": " 2 "}, "", {"level": "info", "message": ""}, 5]},
        ]
        backend.on("GET", "/jobs/j-1/logs", answer(json=pages[0]), answer(json=pages[1]))
        assert gateway.get_last_log_line("j-1") == "2"
        assert backend.seen[-2].query == {}

    def test_no_logs_yet_is_no_logs(self, gateway):
        assert gateway.get_error_logs("j-1") == []
        assert gateway.get_last_log_line("j-1") is None

    def test_other_refusals_are_refusals(self, backend, answer, gateway):
        backend.on("GET", "/jobs/j-1/logs", answer(400))
        with pytest.raises(BackendRefusedError):
            gateway.get_error_logs("j-1")


class TestCurrency:
    @pytest.mark.parametrize(
        ("billing", "currency"),
        [({"currency": "credits"}, "credits"), ({"currency": None}, None), ({}, None), (None, None)],
    )
    def test_is_that_of_the_root(self, backend, answer, gateway, billing, currency):
        backend.on("GET", "/", answer(json={"billing": billing}))
        assert gateway.get_currency() == currency
