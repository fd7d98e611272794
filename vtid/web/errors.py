"""One shape for every error: RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from vtid.errors import Problem, VtidError

log = structlog.get_logger("vtid.web")
MEDIA_TYPE = "application/problem+json"

AnyRequest = Request[Any, Any, Any]


class HttpError(VtidError):
    """An error that only the web knows, with a status of its own."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        problems: Sequence[Problem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, problems=problems)
        self.http_status = status
        self.http_code = code
        self.headers = headers or {}


def respond(
    request: AnyRequest,
    status: int,
    code: str,
    title: str,
    detail: str,
    problems: Sequence[Problem] = (),
    suggestion: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response[dict[str, Any]]:
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
    body: dict[str, Any] = {
        "type": f"urn:vtid:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "errors": [{"field": p.field, "message": p.message, "code": p.code} for p in problems],
        "request_id": request.scope.get("state", {}).get("request_id", ""),
    }
    if suggestion:
        body["suggested_action"] = suggestion
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _known(request: AnyRequest, error: VtidError) -> Response[dict[str, Any]]:
    if isinstance(error, HttpError):
        title = HTTPStatus(error.http_status).phrase
        return respond(
            request, error.http_status, error.http_code, title, error.message, error.problems, None, error.headers
        )
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a request failed", reason=error.message, code=error.code)
    return respond(request, error.status, error.code, error.title, error.message, error.problems, error.suggestion)


def _invalid(request: AnyRequest, error: ValidationException) -> Response[dict[str, Any]]:
    problems = [_problem(item) for item in error.extra] if isinstance(error.extra, list) else []
    detail = f"{problems[0]}" if problems else error.detail
    return respond(request, 400, "invalid_input", "The request is not valid", detail, problems)


def _problem(item: Any) -> Problem:
    if not isinstance(item, dict):
        return Problem("", str(item))
    return Problem(str(item.get("key", "")), str(item.get("message", "")), "invalid")


def _http(request: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    phrase = HTTPStatus(error.status_code).phrase
    details = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.method} is not possible at {request.url.path}.",
    }
    detail = details.get(error.status_code, error.detail)
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() in ("allow", "retry-after")}
    return respond(request, error.status_code, phrase.lower().replace(" ", "_"), phrase, detail, headers=headers)


def _bug(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    log.error("bug in a request", path=request.url.path, exc_info=error)
    detail = "vtid itself failed; the log of the daemon has the details under this request id."
    return respond(request, 500, "internal", "Internal error", detail)


HANDLERS: dict[Any, Any] = {ValidationException: _invalid, HTTPException: _http, VtidError: _known, Exception: _bug}
