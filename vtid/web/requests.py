"""What every request passes, whatever route it meets or misses: an id, the guard, a line in the log, a count."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send, WebSocketScope

from vtid.web.errors import bug, respond
from vtid.web.guard import Guard
from vtid.web.metrics import Metrics

log = structlog.get_logger("vtid.access")
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    # An address may hold a signature or a one-time token. With "no-referrer" our own forms would come from "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Of an answer that says nothing of its own: it is data, and no page.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What browsers are told with every answer."""
HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
"""And where the daemon's public address is https://."""
QUIET = frozenset(
    {"/health", "/api/v1/health", "/health/db", "/health/queue", "/health/redis", "/health/storage", "/metrics"}
)
"""Asked every few seconds by machines; logged for debugging only."""
_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


class Outermost:
    """Goes around the whole application: Litestar's own middleware does not see what matches no route.

    Args:
        app: inside.
        guard: says what is refused.
        metrics: to count in.
        headers: of every answer that does not say otherwise.
    """

    def __init__(self, app: ASGIApp, guard: Guard, metrics: Metrics, headers: dict[str, str]) -> None:
        self._app = app
        self._guard = guard
        self._metrics = metrics
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._open(scope, receive, send)
            return
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _ID.match(given) else uuid.uuid4().hex
        scope["state"]["request_id"] = request_id
        answer = _Answer(send, scope, self._headers)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._serve(scope, receive, answer, headers)
            finally:
                self._tell(scope, answer)

    async def _open(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket, unless it comes from where it may not come from."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._guard.refusal("WEBSOCKET", headers)
        begun = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=uuid.uuid4().hex):
            log.info("websocket" if refusal is None else "websocket refused", path=scope["path"])
            if refusal is not None:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal})  # before it is open: a 403
                return
            try:
                await self._app(scope, receive, send)
            finally:
                seconds = round(time.perf_counter() - begun, 3)
                log.info("websocket closed", path=scope["path"], duration_seconds=seconds)

    async def _serve(self, scope: HTTPScope, receive: Receive, answer: _Answer, headers: dict[str, str]) -> None:
        request: Request[Any, Any, Any] = Request(scope)
        refusal = self._guard.refusal(scope["method"], headers)
        try:
            if refusal is None:
                await self._app(scope, receive, answer)
                return
            response = respond(request, 403, "forbidden_origin", "Forbidden", refusal)
        except Exception as error:  # noqa: BLE001 - the last place where it can be told under its request id
            response = bug(request, error.__cause__ if isinstance(error.__cause__, Exception) else error)
            if answer.started:
                return  # the server sees an unfinished response, and closes the connection
        await response.to_asgi_response(app=None, request=request)(scope, receive, answer)

    def _tell(self, scope: HTTPScope, answer: _Answer) -> None:
        route = str(scope.get("path_template") or "unmatched")
        self._metrics.saw(scope["method"], route, answer.status, answer.first_byte_s or answer.seconds)
        facts: dict[str, Any] = {"method": scope["method"], "path": scope["path"], "status": answer.status}
        if principal := scope["state"].get("principal"):
            facts["user_id"] = principal.user_id
        if job_id := scope.get("path_params", {}).get("job_id"):
            facts["job_id"] = job_id
        # Of the URL the path alone: a query may carry a signature.
        (log.debug if scope["path"] in QUIET else log.info)(
            "request", duration_seconds=round(answer.seconds, 4), **facts
        )


class _Answer:
    """Sends a response on, and remembers what is to be told of it."""

    def __init__(self, send: Send, scope: HTTPScope, headers: dict[str, str]) -> None:
        self._send = send
        self._state = scope["state"]
        self._headers = headers
        self._begun = time.perf_counter()
        self.status = 0
        self.first_byte_s: float | None = None
        """An event stream lasts for hours; what says something about the daemon is when it began."""

    @property
    def started(self) -> bool:
        return self.first_byte_s is not None

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.first_byte_s = message["status"], self.seconds
            headers = MutableScopeHeaders.from_message(message)
            headers["X-Request-ID"] = self._state["request_id"]
            for name, value in (self._headers | self._state.get("rate_limit", {})).items():
                headers.setdefault(name, value)
            if "json" in headers.get("content-type", ""):  # somebody's own; no cache may keep it for the next
                headers.setdefault("Cache-Control", "no-store")
        await self._send(message)
