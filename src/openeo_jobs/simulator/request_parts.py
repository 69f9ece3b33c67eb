"""What a request brings: its user, its JSON body, its numbers; nonsense is refused with an openEO error."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from openeo_jobs.simulator.api_errors import not_a_body, parameter_invalid
from openeo_jobs.simulator.request_log import note_user
from openeo_jobs.simulator.service import Service


def get_user(request: Request, service: Service) -> str:
    """Return the user whose bearer token *request* carries."""
    user = service.identify(request.headers.get("authorization"))
    note_user(request.scope, user)
    return user


async def read_object(request: Request) -> dict[str, Any]:
    """Read the body of *request*, which has to be a JSON object."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise not_a_body(f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise not_a_body("The body is not a JSON object.")
    return body


def get_number(request: Request, name: str, *, default: int | None = None) -> int | None:
    """Return the query parameter *name* as a number of at least 0."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise parameter_invalid(name, text)
    return int(text)
