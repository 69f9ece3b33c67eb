"""The routes about the backend itself: capabilities, logging in, collections, processes, validation."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from openeo_jobs.simulator import capabilities
from openeo_jobs.simulator.access import PASSWORD, read_basic
from openeo_jobs.simulator.api_errors import ApiError
from openeo_jobs.simulator.collections import describe_collection, list_collections
from openeo_jobs.simulator.processes import list_processes
from openeo_jobs.simulator.request_parts import get_user, read_object
from openeo_jobs.simulator.service import Service
from openeo_jobs.simulator.validation import find_problems


class ServiceRoutes:
    """Handlers for everything but batch jobs."""

    def __init__(self, service: Service, *, url: str) -> None:
        self._service = service
        self._url = url

    def list_routes(self) -> list[Route]:
        """Return the routes, the one of the capabilities excepted, which needs to know all the others."""
        return [
            Route("/.well-known/openeo", self.get_versions),
            Route("/conformance", self.get_conformance),
            Route("/file_formats", self.get_file_formats),
            Route("/collections", self.get_collections),
            Route("/collections/{collection_id}", self.get_collection),
            Route("/processes", self.get_processes),
            Route("/credentials/basic", self.log_in),
            Route("/me", self.get_me),
            Route("/validation", self.validate, methods=["POST"]),
        ]

    async def get_versions(self, request: Request) -> JSONResponse:
        """Answer `GET /.well-known/openeo`."""
        return JSONResponse(capabilities.describe_versions(self._url))

    async def get_conformance(self, request: Request) -> JSONResponse:
        """Answer `GET /conformance`."""
        return JSONResponse(capabilities.describe_conformance())

    async def get_file_formats(self, request: Request) -> JSONResponse:
        """Answer `GET /file_formats`."""
        return JSONResponse(capabilities.describe_file_formats())

    async def get_collections(self, request: Request) -> JSONResponse:
        """Answer `GET /collections`."""
        return JSONResponse({"collections": list_collections(self._url), "links": []})

    async def get_collection(self, request: Request) -> JSONResponse:
        """Answer `GET /collections/{collection_id}`."""
        collection_id = request.path_params["collection_id"]
        collection = describe_collection(collection_id, self._url)
        if collection is None:
            raise ApiError(404, "CollectionNotFound", f"Collection '{collection_id}' does not exist.")
        return JSONResponse(collection)

    async def get_processes(self, request: Request) -> JSONResponse:
        """Answer `GET /processes`."""
        return JSONResponse({"processes": list_processes(), "links": []})

    async def log_in(self, request: Request) -> JSONResponse:
        """Answer `GET /credentials/basic`: any user, with the documented password."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            raise ApiError(401, "AuthenticationRequired", "Unauthorized: give a user and a password.")
        credentials = read_basic(authorization)
        if credentials is None or not credentials[0] or credentials[1] != PASSWORD:
            raise ApiError(
                403, "CredentialsInvalid", f"Credentials are not correct; the password is '{PASSWORD}'."
            )
        return JSONResponse({"access_token": self._service.log_in(credentials[0])})

    async def get_me(self, request: Request) -> JSONResponse:
        """Answer `GET /me`."""
        user = get_user(request, self._service)
        return JSONResponse(
            {"user_id": user, "name": user, "default_plan": "free", "budget": None, "links": []}
        )

    async def validate(self, request: Request) -> JSONResponse:
        """Answer `POST /validation`."""
        process = await read_object(request)
        if not isinstance(process.get("process_graph"), dict):
            raise ApiError(400, "ProcessGraphMissing", "No valid process graph specified.")
        problems = find_problems(process)
        return JSONResponse(
            {"errors": [{"code": problem.code, "message": problem.message} for problem in problems]}
        )
