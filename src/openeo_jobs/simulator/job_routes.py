"""The routes of batch jobs: create, list, read, change, delete, start, stop, logs, estimate."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openeo_jobs.simulator.api_errors import parameter_invalid
from openeo_jobs.simulator.descriptions import (
    LEVELS,
    LogEntry,
    describe_job,
    list_log_entries,
    select_level,
    summarise_job,
)
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.request_log import note_batch_job
from openeo_jobs.simulator.request_parts import get_number, get_user, read_object
from openeo_jobs.simulator.service import Service


class JobRoutes:
    """Handlers for batch jobs."""

    def __init__(self, service: Service, *, url: str) -> None:
        self._service = service
        self._url = url

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
        user = get_user(request, self._service.keys)
        limit = get_number(request, "limit")
        if limit == 0:
            raise parameter_invalid("limit", "0")
        after = get_number(request, "after", default=0) or 0
        page = self._service.registry.list_page(user, after=after, limit=limit and limit + 1)
        now = self._service.clock()
        jobs = [summarise_job(job, now) for _, job in page[:limit]]
        return JSONResponse({"jobs": jobs, "links": self._link_next_page(page, limit)})

    async def create_job(self, request: Request) -> Response:
        """Answer `POST /jobs`."""
        user = get_user(request, self._service.keys)
        job = self._service.create(await read_object(request), user)
        note_batch_job(request.scope, job.id)
        headers = {"Location": f"{self._url}/jobs/{job.id}", "OpenEO-Identifier": job.id}
        return Response(status_code=201, headers=headers)

    async def get_job(self, request: Request) -> JSONResponse:
        """Answer `GET /jobs/{job_id}`."""
        return JSONResponse(describe_job(self._find(request), self._service.clock()))

    async def patch_job(self, request: Request) -> Response:
        """Answer `PATCH /jobs/{job_id}`."""
        job = self._find(request)
        self._service.patch(job, await read_object(request))
        return Response(status_code=204)

    async def delete_job(self, request: Request) -> Response:
        """Answer `DELETE /jobs/{job_id}`."""
        self._service.delete(self._find(request))
        return Response(status_code=204)

    async def start_job(self, request: Request) -> Response:
        """Answer `POST /jobs/{job_id}/results`."""
        self._service.start(self._find(request))
        return Response(status_code=202)

    async def stop_job(self, request: Request) -> Response:
        """Answer `DELETE /jobs/{job_id}/results`."""
        self._service.stop(self._find(request))
        return Response(status_code=204)

    async def get_logs(self, request: Request) -> JSONResponse:
        """Answer `GET /jobs/{job_id}/logs`, from the entry behind `offset` on."""
        job = self._find(request)
        level = request.query_params.get("level", LEVELS[-1])
        if level not in LEVELS:
            raise parameter_invalid("level", level)
        entries = select_level(list_log_entries(job, self._service.clock()), level)
        offset = get_number(request, "offset", default=0) or 0
        unseen = [entry for entry in entries if int(entry.id) > offset]
        page = unseen[: get_number(request, "limit")]
        links = self._link_more_logs(job, page, level) if len(page) < len(unseen) else []
        return JSONResponse({"level": level, "logs": [entry.to_json() for entry in page], "links": links})

    async def get_estimate(self, request: Request) -> JSONResponse:
        """Answer `GET /jobs/{job_id}/estimate`."""
        self._find(request)
        return JSONResponse(self._service.estimate())

    def _find(self, request: Request) -> BatchJob:
        user = get_user(request, self._service.keys)
        return self._service.find(request.path_params["job_id"], user)

    def _link_next_page(self, page: list[tuple[int, BatchJob]], limit: int | None) -> list[dict[str, Any]]:
        if limit is None or len(page) <= limit:
            return []
        query = urlencode({"limit": limit, "after": page[limit - 1][0]})
        return [{"rel": "next", "href": f"{self._url}/jobs?{query}"}]

    def _link_more_logs(self, job: BatchJob, page: list[LogEntry], level: str) -> list[dict[str, Any]]:
        if not page:
            return []
        query = urlencode({"offset": page[-1].id, "limit": len(page), "level": level})
        return [{"rel": "next", "href": f"{self._url}/jobs/{job.id}/logs?{query}"}]
