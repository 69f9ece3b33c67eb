"""The create request: its body before and after the tag, and what its answer proves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from openeo_jobs.backends.foreign import error_in_answer, error_in_exception, is_certainly_unsent
from openeo_jobs.backends.texts import path_of, tidied
from openeo_jobs.jobs import Outcome

Verdict = tuple[Outcome, str | None, str | None]
"""The outcome, the batch job id, and a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A create request as user code made it."""

    request: requests.PreparedRequest
    content: bytes
    document: Mapping[str, Any] | None
    """The body as JSON; None where it is something else, which then carries no tag."""

    @classmethod
    def of(cls, request: requests.PreparedRequest) -> Draft:
        """Read *request*; a body that is streamed is left alone."""
        body = request.body
        content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
        return cls(request=request, content=content, document=_json_object(content))

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the body, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def can_tag(self) -> bool:
        """Whether a tag can be sent with it."""
        return self.document is not None

    @property
    def title(self) -> str | None:
        """The title; None where there is none."""
        title = self.document.get("title") if self.document is not None else None
        return title if isinstance(title, str) else None

    def tagged(self, tag: str | None) -> requests.PreparedRequest:
        """Return a request with *tag* at the end of the title; the original request stays as it is."""
        if tag is None or self.document is None:
            return self.request
        title = f"{self.title} [{tag}]" if self.title else f"[{tag}]"
        request = self.request.copy()
        request.body = json.dumps({**self.document, "title": title}).encode()
        request.headers["Content-Length"] = str(len(request.body))
        return request


def judge_answer(response: requests.Response) -> Verdict:
    """Say what an answer to a create request proves.

    2xx with an id: created. 3xx and 4xx: not created (but 303, which by RFC 9110 may follow success).
    Anything else proves nothing.
    """
    error = error_in_answer(response)
    if error is None:
        batch_job_id = _batch_job_id_in(response)
        if batch_job_id is not None:
            return Outcome.CREATED, batch_job_id, None
        return Outcome.UNKNOWN, None, f"[{response.status_code}] the answer names no batch job"
    if 300 <= response.status_code < 500 and response.status_code != 303:
        return Outcome.NOT_CREATED, None, str(error)
    return Outcome.UNKNOWN, None, str(error)


def judge_exception(error: BaseException, request: requests.PreparedRequest) -> Verdict:
    """Say what an exception during the create request *request* proves.

    One of another request, which a hook of the user may have sent after the answer, proves nothing.
    """
    is_of_another = getattr(error, "request", None) not in (None, request)
    is_unsent = is_certainly_unsent(error) and not is_of_another
    message = str(error_in_exception(error) or tidied(repr(error)))
    return Outcome.NOT_CREATED if is_unsent else Outcome.UNKNOWN, None, message


def _json_object(content: bytes) -> Mapping[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _batch_job_id_in(response: requests.Response) -> str | None:
    """Return the id as the Connection reads it: one header, else the last segment of the other."""
    batch_job_id = (response.headers.get("OpenEO-Identifier") or "").strip()
    if batch_job_id:
        return batch_job_id
    path = path_of(response.headers.get("Location") or "").rstrip("/")
    segment = path.rpartition("/")[2].strip()
    return segment if segment not in ("", "jobs") else None
