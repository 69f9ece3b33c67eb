"""The errors that the simulator answers, in the form and with the codes of the openEO API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_CODES = {400: "BadRequest", 405: "MethodNotAllowed", 422: "UnprocessableContent", 501: "FeatureUnsupported"}


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

    def to_response(self, *, has_number_as_code: bool = False) -> JSONResponse:
        """Return the answer, with a text as its code, or a number as some backends have it."""
        code = self.status if has_number_as_code else self.code
        body: dict[str, Any] = {"code": code, "message": self.message, "links": []}
        return JSONResponse(body, status_code=self.status, headers=self.headers)


def job_not_found(batch_job_id: str, *, status: int = 404) -> ApiError:
    """There is no such batch job of this user."""
    message = f"The batch job '{batch_job_id}' does not exist."
    return ApiError(status, "JobNotFound", message) if status == 404 else not_as_specified(status, message)


def not_as_specified(status: int, message: str) -> ApiError:
    """Refuse with another HTTP status than the one that the specification has."""
    return ApiError(status, _CODES.get(status, "Internal"), message)


def not_a_body(message: str) -> ApiError:
    """The body of the request cannot be read."""
    return ApiError(400, "RequestBodyInvalid", message)


def parameter_invalid(name: str, value: str) -> ApiError:
    """A query parameter makes no sense."""
    return ApiError(400, "ParameterInvalid", f"The value '{value}' of the parameter '{name}' is invalid.")


def make_answer_api_error(*, has_number_as_code: bool) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Make the handler that answers what others refused."""

    async def answer_api_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return error.to_response(has_number_as_code=has_number_as_code)

    return answer_api_error


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer for a path or a method that no route has."""
    assert isinstance(error, HTTPException)
    code = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "Internal")
    message = f"{request.method} {request.url.path} is not supported."
    return ApiError(error.status_code, code, message).to_response()


async def answer_bug(request: Request, error: Exception) -> JSONResponse:
    """Answer where the simulator itself is at fault; the server logs the error."""
    return ApiError(500, "Internal", f"The simulator failed: {error!r}").to_response()
