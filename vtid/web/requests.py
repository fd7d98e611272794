"""What every request passes, whatever route it meets or misses: an id, the guard, a line in the log, a count."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send, WebSocketScope

from vtid import logs
from vtid.web.auth import headers_of
from vtid.web.errors import bug, respond
from vtid.web.guard import Guard
from vtid.web.metrics import Metrics

log = structlog.get_logger("vtid.access")
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    # Of an answer that says nothing of its own: it is data, and no page.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What browsers are told with every answer."""
SHOWN = {
    # An address may hold a signature or a one-time token. With "no-referrer" our own forms would come from "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""And with what is no JSON: a page has links and opens windows, data does neither."""
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
        headers: of every answer that does not say otherwise, beside `SHOWN`.
    """

    def __init__(self, app: ASGIApp, guard: Guard, metrics: Metrics, headers: dict[str, str]) -> None:
        self._app = app
        self._guard = guard
        self._metrics = metrics
        self._headers = _raw(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._open(scope, receive, send)
            return
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.match(given) else os.urandom(16).hex()
        scope["state"]["request_id"] = request_id
        answer = _Answer(send, scope, self._headers)
        structlog.contextvars.bind_contextvars(request_id=request_id)  # the server gives each request a task of its own
        try:
            await self._serve(scope, receive, answer, headers)
        finally:
            self._tell(scope, answer)

    async def _open(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket, unless it comes from where it may not come from."""
        headers = headers_of(scope)
        refusal = self._guard.refusal("WEBSOCKET", headers)
        begun = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=os.urandom(16).hex()):
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
        refusal = self._guard.refusal(scope["method"], headers)
        try:
            if refusal is None:
                await self._app(scope, receive, answer)
                return
            request: Request[Any, Any, Any] = Request(scope)
            response = respond(request, 403, "forbidden_origin", "Forbidden", refusal)
        except Exception as error:  # noqa: BLE001 - the last place where it can be told under its request id
            request = Request(scope)
            response = bug(request, error.__cause__ if isinstance(error.__cause__, Exception) else error)
            if answer.started:
                return  # the server sees an unfinished response, and closes the connection
        await response.to_asgi_response(app=None, request=request)(scope, receive, answer)

    def _tell(self, scope: HTTPScope, answer: _Answer) -> None:
        route = str(scope.get("path_template") or "unmatched")
        self._metrics.saw(scope["method"], route, answer.status, answer.first_byte_s or answer.seconds)
        params = scope.get("path_params", {})
        path = route if "token" in params else scope["path"]  # who has the token may use it
        # Of the URL the path alone: a query may carry a signature.
        facts = {"method": scope["method"], "path": path, "status": answer.status}
        top: dict[str, Any] = {"request_id": scope["state"]["request_id"], "duration_seconds": round(answer.seconds, 4)}
        if principal := scope["state"].get("principal"):
            top["user_id"] = principal.user_id
        if job_id := params.get("job_id"):
            top["job_id"] = job_id
        level = "debug" if scope["path"] in QUIET else "info"
        if not logs.said_plainly(level, "request", top, facts):
            getattr(log, level)("request", **top, **facts)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_SHOWN = _raw(SHOWN)
_NOT_KEPT = _raw({"Cache-Control": "no-store"})
"""It is somebody's own; no cache may keep it for the next."""


class _Answer:
    """Sends a response on, and remembers what is to be told of it."""

    def __init__(self, send: Send, scope: HTTPScope, headers: Sequence[tuple[bytes, bytes]]) -> None:
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
            given = [(name.lower(), value) for name, value in message["headers"]]
            there = dict(given)
            is_data = b"json" in there.get(b"content-type", b"")
            usual = [(b"x-request-id", self._state["request_id"].encode()), *self._headers]
            usual += _NOT_KEPT if is_data else _SHOWN
            if limit := self._state.get("rate_limit"):
                usual += _raw(limit)
            message["headers"] = given + [pair for pair in usual if pair[0] not in there]
        await self._send(message)
