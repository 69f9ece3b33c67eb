"""The routes of results: the document, and the files, whole or in part."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openeo_jobs.simulator.api_errors import ApiError, not_as_specified
from openeo_jobs.simulator.assets import ResultFile
from openeo_jobs.simulator.descriptions import list_log_entries
from openeo_jobs.simulator.lifecycle import BatchJob
from openeo_jobs.simulator.request_parts import get_user
from openeo_jobs.simulator.results import describe_results
from openeo_jobs.simulator.sending import send_file
from openeo_jobs.simulator.service import Service
from openeo_jobs.status import JobStatus


class ResultRoutes:
    """Handlers for results."""

    def __init__(self, service: Service, *, url: str) -> None:
        self._service = service
        self._url = url
        self._answers = service.deviations.answers
        self._files = service.deviations.files

    def list_routes(self) -> list[Route]:
        """Return the routes of the API."""
        return [Route("/jobs/{job_id}/results", self.get_results, methods=["GET"])]

    def list_asset_routes(self) -> list[Route]:
        """Return the routes of the files, which are no part of the API."""
        return [Route("/assets/{job_id}/{name}", self.get_asset, methods=["GET", "HEAD"])]

    async def get_results(self, request: Request) -> Response:
        """Answer `GET /jobs/{job_id}/results`; a failed batch job's answer is the last entry of its logs."""
        job = self._find(request)
        status = job.status_at(self._service.clock())
        if status == JobStatus.ERROR:
            if self._answers.failed_results != 424:
                raise not_as_specified(self._answers.failed_results, f"The batch job '{job.id}' has failed.")
            return JSONResponse(self._get_reason(job), status_code=424)
        files = self._get_files(job, is_partial=request.query_params.get("partial") == "true")
        document = describe_results(job, files, status=status, link=self._link, announced=self._files)
        return JSONResponse(document)

    async def get_asset(self, request: Request) -> Response:
        """Answer a request for a file; only its signature counts, unless the links have none."""
        if request.method == "HEAD" and not self._files.has_head:
            raise not_as_specified(405, "Files can only be got.")
        job_id, name = request.path_params["job_id"], request.path_params["name"]
        if self._files.is_signed:
            self._require_signature(request)
            job = self._service.find(job_id, None)
        else:
            job = self._service.find(job_id, get_user(request, self._service))
        file = self._service.get_file(job, name)
        if file is not None:
            return send_file(file, request, self._files)
        raise ApiError(404, "NotFound", f"The batch job '{job_id}' has no file '{name}'.")

    def _find(self, request: Request) -> BatchJob:
        job_id = request.path_params["job_id"]
        if "signature" in request.query_params:
            self._require_signature(request)
            return self._service.find(job_id, None)
        return self._service.find(job_id, get_user(request, self._service))

    def _require_signature(self, request: Request) -> None:
        signature, until = (request.query_params.get(name) for name in ("signature", "until"))
        now = self._service.clock()
        if not self._service.keys.is_signed(request.url.path, signature, until, now=now):
            message = "The link is not signed, not by this backend, or has expired."
            raise ApiError(403, "PermissionsInsufficient", message)

    def _get_files(self, job: BatchJob, *, is_partial: bool) -> list[ResultFile]:
        status = self._answers.early_results
        try:
            return self._service.get_files(job, is_partial=is_partial)
        except ApiError as error:
            if status == 200:
                return []
            raise error if status == error.status else not_as_specified(status, error.message) from None

    def _link(self, path: str) -> str:
        """Return the link to *path*; only files may be on another host, or without a signature."""
        if not path.startswith("/assets/"):
            return f"{self._url}{path}?{self._service.sign(path)}"
        parts = urlsplit(self._url)
        host = self._files.host or parts.hostname
        query = f"?{self._service.sign(path)}" if self._files.is_signed else ""
        return f"{parts.scheme}://{host}:{parts.port}{quote(path)}{query}"

    def _get_reason(self, job: BatchJob) -> dict[str, object]:
        failure = job.latest.failure if job.latest else None
        entries = list_log_entries(job, self._service.clock())
        return {
            "id": entries[-1].id if entries else "1",
            "code": failure.code if failure else "Internal",
            "level": "error",
            "message": failure.message if failure else "The batch job failed.",
            "links": [],
        }
