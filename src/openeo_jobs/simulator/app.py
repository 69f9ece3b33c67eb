"""The simulator as an ASGI application: the routes, the faults in front of them, the log in front of all."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from openeo_jobs.simulator.api_errors import ApiError, answer_bug, answer_http_error, make_answer_api_error
from openeo_jobs.simulator.capabilities import describe_service
from openeo_jobs.simulator.connections import ConnectionLayer
from openeo_jobs.simulator.fault_layer import FaultLayer, ResetLayer
from openeo_jobs.simulator.faults import Faults
from openeo_jobs.simulator.job_routes import JobRoutes
from openeo_jobs.simulator.request_log import RequestLog, RequestLogLayer
from openeo_jobs.simulator.result_routes import ResultRoutes
from openeo_jobs.simulator.service import Service
from openeo_jobs.simulator.service_routes import ServiceRoutes


def build_app(service: Service, *, url: str, faults: Faults, log: RequestLog) -> ASGIApp:
    """Build the application that serves *service* at *url*."""
    deviations = service.deviations
    backend = Starlette(
        routes=_list_routes(service, url),
        exception_handlers={
            ApiError: make_answer_api_error(has_number_as_code=deviations.documents.has_numbers_as_codes),
            HTTPException: answer_http_error,
            Exception: answer_bug,
        },
    )
    faulty: ASGIApp = FaultLayer(backend, faults=faults, clock=service.clock)
    if deviations.answers.resets_after_errors:
        faulty = ResetLayer(faulty)
    return ConnectionLayer(RequestLogLayer(faulty, log=log, clock=service.clock))


def _list_routes(service: Service, url: str) -> list[Route]:
    results = ResultRoutes(service, url=url)
    routes = [
        *ServiceRoutes(service, url=url).list_routes(),
        *JobRoutes(service, url=url).list_routes(),
        *results.list_routes(),
    ]

    async def get_capabilities(request: Request) -> JSONResponse:
        return JSONResponse(capabilities)

    routes.insert(0, Route("/", get_capabilities))
    capabilities = describe_service(service.name, url=url, routes=routes)
    return [*routes, *results.list_asset_routes()]
