"""One shape for every error: RFC 9457 problem details."""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import UNSET

from vtid.errors import Problem, RateLimited, Unauthorized, VtidError
from vtid.web.schemas import FieldProblem, ProblemView

log = structlog.get_logger("vtid.web")
MEDIA_TYPE = "application/problem+json"
CLIENT_GONE = 499
"""Nobody reads it; the log and the metrics tell by it that the client went away (nginx's number)."""

_PHRASES = {460: "Checksum Mismatch"}
"""Of statuses that tus made."""

AnyRequest = Request[Any, Any, Any]


class HttpError(VtidError):
    """An error that only the web knows, with a status of its own."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        problems: Sequence[Problem] = (),
        suggestion: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, problems=problems, suggestion=suggestion)
        self.http_status = status
        self.http_code = code
        self.headers = headers or {}


class ClientGone(Exception):
    """The client closed the connection in the middle of its request."""


def respond(
    request: AnyRequest,
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    problems: Sequence[Problem] = (),
    suggestion: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    """A problem document.

    Args:
        request: whose id it names.
        status: of HTTP.
        code: stable; the last part of `type`.
        title: the same for every problem of this code.
        detail: about this one.
        problems: single complaints.
        suggestion: what to do.
        headers: of the response.
    """
    body = ProblemView(
        type=f"urn:vtid:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        errors=[FieldProblem(p.field, p.message, p.code) for p in problems],
        request_id=request.scope.get("state", {}).get("request_id", ""),
        suggested_action=suggestion or UNSET,
    )
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def phrase(status: int) -> str:
    """What a status means, in a few words."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def known(request: AnyRequest, error: VtidError) -> Response[Any]:
    """The problem document of an error that was foreseen."""
    told: dict[str, Any] = {"problems": error.problems, "suggestion": error.suggestion}
    if isinstance(error, HttpError):
        title = phrase(error.http_status)
        return respond(request, error.http_status, error.http_code, title, error.message, headers=error.headers, **told)
    if isinstance(error, Unauthorized):
        told["headers"] = {"WWW-Authenticate": "Bearer"}
    elif isinstance(error, RateLimited):
        told["headers"] = {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a request failed", reason=error.message, code=error.code)
    return respond(request, error.status, error.code, error.title, error.message, **told)


def _invalid(request: AnyRequest, error: ValidationException) -> Response[Any]:
    """What Litestar itself found wrong: a header of a route."""
    extra = error.extra if isinstance(error.extra, list) else []
    problems = [Problem(str(item.get("key", "")), str(item.get("message", ""))) for item in extra]
    detail = f"{problems[0]}" if problems else error.detail
    return respond(request, 400, "invalid_input", "The request is not valid", detail, problems=problems)


def _http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    title = HTTPStatus(error.status_code).phrase
    details = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.method} is not possible at {request.url.path}.",
    }
    detail = details.get(error.status_code, error.detail)
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() in ("allow", "retry-after")}
    return respond(request, error.status_code, title.lower().replace(" ", "_"), title, detail, headers=headers)


def _gone(_request: AnyRequest, _error: ClientGone) -> Response[Any]:
    return Response(None, status_code=CLIENT_GONE)


def bug(request: AnyRequest, error: Exception) -> Response[Any]:
    """Nobody foresaw this: the traceback goes to the log, plain words to the client."""
    log.error("bug in a request", path=request.url.path, exc_info=error)
    detail = "vtid itself failed; the log of the daemon has the details under this request id."
    return respond(request, 500, "internal", "Internal error", detail)


HANDLERS: dict[Any, Any] = {
    ValidationException: _invalid,
    HTTPException: _http,
    VtidError: known,
    ClientGone: _gone,
    Exception: bug,
}
