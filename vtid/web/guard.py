"""What every request passes: an id, a look at where it comes from, one line in the log, one count in the metrics."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from vtid.web.errors import respond

if TYPE_CHECKING:
    from vtid.web.metrics import Metrics

log = structlog.get_logger("vtid.access")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


class Guard(ASGIMiddleware):
    """Goes around the whole application.

    Args:
        public_url: under which the daemon is reached beside loopback.
        metrics: to count in.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, public_url: str | None, metrics: Metrics) -> None:
        self._hosts = LOOPBACK | ({urlsplit(public_url).hostname or ""} if public_url else set())
        self._metrics = metrics

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request."""
        assert scope["type"] == ScopeType.HTTP
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _ID.match(given) else uuid.uuid4().hex
        scope["state"]["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, status = time.perf_counter(), 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableScopeHeaders.from_message(message)
                out["X-Request-ID"] = request_id
                out["X-Content-Type-Options"] = "nosniff"
            await send(message)

        refused = self._refusal(scope, headers)
        try:
            if refused:
                request: Request[Any, Any, Any] = Request(scope)
                response = respond(request, 403, "forbidden_origin", "Forbidden", refused)
                await response.to_asgi_response(app=None, request=request)(scope, receive, tell)
            else:
                await next_app(scope, receive, tell)
        finally:
            seconds = time.perf_counter() - started
            route = str(scope.get("path_template") or "unmatched")
            self._metrics.saw(str(scope["method"]), route, status, seconds)
            # The path alone: a query may carry a signature.
            log.info(
                "request", method=scope["method"], path=scope["path"], status=status, duration_seconds=round(seconds, 4)
            )
            structlog.contextvars.unbind_contextvars("request_id")

    def _refusal(self, scope: HTTPScope, headers: dict[str, str]) -> str | None:
        """Why this request is not served.

        Without accounts, whoever reaches the port may use it; so a page of somebody else's, open in a browser on this
        machine, must not: neither under a name that it made resolve to loopback, nor by posting across sites.
        """
        host = re.sub(r":\d+$", "", headers.get("host", ""))
        if host not in self._hosts:
            return f'This daemon does not answer to the name "{host}"; server.public_url adds one to localhost.'
        if scope["method"] not in SAFE_METHODS:
            origin = headers.get("origin")
            foreign = origin is not None and (urlsplit(origin).netloc != headers.get("host"))
            if foreign or headers.get("sec-fetch-site") == "cross-site":
                return "Pages of other sites may not use this daemon."
        return None
