"""The errors that the simulator answers, in the form and with the codes of the openEO API."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


class ApiError(Exception):
    """An answer that is an openEO error: HTTP status, code, message."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers

    def to_response(self) -> JSONResponse:
        """Return the answer."""
        body = {"code": self.code, "message": self.message, "links": []}
        return JSONResponse(body, status_code=self.status, headers=self.headers)


def job_not_found(batch_job_id: str) -> ApiError:
    """There is no such batch job of this user."""
    return ApiError(404, "JobNotFound", f"The batch job '{batch_job_id}' does not exist.")


def not_a_body(message: str) -> ApiError:
    """The body of the request cannot be read."""
    return ApiError(400, "RequestBodyInvalid", message)


def parameter_invalid(name: str, value: str) -> ApiError:
    """A query parameter makes no sense."""
    return ApiError(400, "ParameterInvalid", f"The value '{value}' of the parameter '{name}' is invalid.")


async def answer_api_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what a handler refused."""
    assert isinstance(error, ApiError)
    return error.to_response()


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer for a path or a method that no route has."""
    assert isinstance(error, HTTPException)
    code = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "Internal")
    message = f"{request.method} {request.url.path} is not supported."
    return ApiError(error.status_code, code, message).to_response()


async def answer_bug(request: Request, error: Exception) -> JSONResponse:
    """Answer where the simulator itself is at fault; the server logs the error."""
    return ApiError(500, "Internal", f"The simulator failed: {error!r}").to_response()
