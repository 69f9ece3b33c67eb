"""The routes of batch jobs: create, list, read, change, delete, start, stop, logs, estimate."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openeo_jobs.simulator.api_errors import not_as_specified, parameter_invalid
from openeo_jobs.simulator.descriptions import (
    LEVELS,
    LogEntry,
    describe_job,
    list_log_entries,
    select_level,
    summarise_job,
)
from openeo_jobs.simulator.distortion import (
    distort_job,
    distort_location,
    distort_log_entry,
    keep_few_fields,
    withhold_costs,
)
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.request_log import note_batch_job
from openeo_jobs.simulator.request_parts import get_number, get_user, read_object
from openeo_jobs.simulator.service import Service
from openeo_jobs.status import JobStatus

_MEMBER = "east"


class JobRoutes:
    """Handlers for batch jobs."""

    def __init__(self, service: Service, *, url: str) -> None:
        self._service = service
        self._url = url
        self._listing = service.deviations.listing
        self._documents = service.deviations.documents
        self._answers = service.deviations.answers

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/jobs", self.list_jobs, methods=["GET"]),
            Route("/jobs", self.create_job, methods=["POST"]),
            Route("/jobs/{job_id}", self.get_job, methods=["GET"]),
            Route("/jobs/{job_id}", self.patch_job, methods=["PATCH"]),
            Route("/jobs/{job_id}", self.delete_job, methods=["DELETE"]),
            Route("/jobs/{job_id}/results", self.start_job, methods=["POST"]),
            Route("/jobs/{job_id}/results", self.stop_job, methods=["DELETE"]),
            Route("/jobs/{job_id}/logs", self.get_logs, methods=["GET"]),
            Route("/jobs/{job_id}/estimate", self.get_estimate, methods=["GET"]),
        ]

    async def list_jobs(self, request: Request) -> JSONResponse:
        """Answer `GET /jobs`: all, or with `limit` a page and a link to the next one."""
        user = get_user(request, self._service)
        limit = get_number(request, "limit")
        if limit == 0:
            raise parameter_invalid("limit", "0")
        limit = None if self._listing.ignores_limit else limit
        after = get_number(request, "after", default=0) or 0
        page = self._service.list_page(user, after=after, limit=limit and limit + 1)
        links = self._link_next_page(page, limit)
        jobs = [self._summarise(job) for _, job in page[:limit][: self._listing.cap]]
        is_partial = self._service.sight.is_partial(self._service.clock())
        missing = {"federation:missing": [_MEMBER]} if is_partial else {}
        return JSONResponse({"jobs": jobs, "links": links, **missing})

    async def create_job(self, request: Request) -> Response:
        """Answer `POST /jobs`."""
        user = get_user(request, self._service)
        job = self._service.create(await read_object(request), user)
        note_batch_job(request.scope, job.id)
        location = distort_location(f"{self._url}/jobs/{job.id}", self._documents)
        identifier = {"OpenEO-Identifier": job.id} if self._documents.has_identifier else {}
        return Response(status_code=201, headers={"Location": location, **identifier})

    async def get_job(self, request: Request) -> JSONResponse:
        """Answer `GET /jobs/{job_id}`."""
        job, at = self._service.sight.look(self._find(request), self._service.clock())
        if self._answers.failed_job >= 400 and job.word_at(at) == JobStatus.ERROR:
            raise not_as_specified(self._answers.failed_job, f"The batch job '{job.id}' has failed.")
        return JSONResponse(self._distort(describe_job(job, at), job, at))

    async def patch_job(self, request: Request) -> Response:
        """Answer `PATCH /jobs/{job_id}`."""
        job = self._find(request)
        self._service.patch(job, await read_object(request))
        return Response(status_code=204)

    async def delete_job(self, request: Request) -> Response:
        """Answer `DELETE /jobs/{job_id}`."""
        job = self._find(request)
        _refuse_if_error(self._answers.delete, f"The batch job '{job.id}' cannot be deleted.")
        if self._answers.delete != 202:
            self._service.delete(job)
        return Response(status_code=self._answers.delete)

    async def start_job(self, request: Request) -> Response:
        """Answer `POST /jobs/{job_id}/results`."""
        job = self._find(request)
        status = self._answers.start_active if job.is_active_at(self._service.clock()) else 202
        _refuse_if_error(status, f"The batch job '{job.id}' has been started already.")
        self._service.start(job)
        return Response(status_code=status)

    async def stop_job(self, request: Request) -> Response:
        """Answer `DELETE /jobs/{job_id}/results`."""
        job = self._find(request)
        _refuse_if_error(self._answers.cancel, f"The batch job '{job.id}' cannot be canceled.")
        self._service.stop(job)
        return Response(status_code=self._answers.cancel)

    async def get_logs(self, request: Request) -> JSONResponse:
        """Answer `GET /jobs/{job_id}/logs`, from the entry behind `offset` on."""
        job = self._find(request)
        level = request.query_params.get("level", LEVELS[-1])
        if level not in LEVELS:
            raise parameter_invalid("level", level)
        if job.latest is None:
            _refuse_if_error(self._answers.early_logs, f"The batch job '{job.id}' has no logs yet.")
        entries = select_level(list_log_entries(job, self._service.clock()), level)
        offset = get_number(request, "offset", default=0) or 0
        unseen = [entry for entry in entries if int(entry.id) > offset]
        page = unseen[: get_number(request, "limit")]
        links = self._link_more_logs(job, page, level) if len(page) < len(unseen) else []
        logs = [distort_log_entry(entry.to_json(), self._documents) for entry in page]
        return JSONResponse({"level": level, "logs": logs, "links": links})

    async def get_estimate(self, request: Request) -> JSONResponse:
        """Answer `GET /jobs/{job_id}/estimate`."""
        self._find(request)
        return JSONResponse(self._service.estimate())

    def _find(self, request: Request) -> BatchJob:
        user = get_user(request, self._service)
        return self._service.find(request.path_params["job_id"], user)

    def _summarise(self, job: BatchJob) -> dict[str, Any]:
        job, at = self._service.sight.look(job, self._service.clock())
        is_whole = self._listing.fields == "all"
        entry = self._distort(describe_job(job, at) if is_whole else summarise_job(job, at), job, at)
        return keep_few_fields(entry) if self._listing.fields == "few" else entry

    def _distort(self, document: dict[str, Any], job: BatchJob, at: datetime) -> dict[str, Any]:
        is_priced = self._service.sight.knows_costs(job, at)
        return distort_job(document if is_priced else withhold_costs(document), self._documents)

    def _link_next_page(self, page: list[tuple[int, BatchJob]], limit: int | None) -> list[dict[str, Any]]:
        if limit is None or len(page) <= limit or self._listing.cap is not None:
            return []
        query = urlencode({"limit": limit, "after": page[limit - 1][0]})
        return [{"rel": "next", "href": f"{self._url}/jobs?{query}"}]

    def _link_more_logs(self, job: BatchJob, page: list[LogEntry], level: str) -> list[dict[str, Any]]:
        if not page:
            return []
        query = urlencode({"offset": page[-1].id, "limit": len(page), "level": level})
        return [{"rel": "next", "href": f"{self._url}/jobs/{job.id}/logs?{query}"}]


def _refuse_if_error(status: int, message: str) -> None:
    if status >= 400:
        raise not_as_specified(status, message)
