"""Wiring of the HTTP side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Scope

from vtid.app import App
from vtid.domain.account import Principal
from vtid.web import docs
from vtid.web.answers import View
from vtid.web.auth import COOKIE, Gate
from vtid.web.errors import HANDLERS
from vtid.web.events import EventFeed
from vtid.web.given import Core
from vtid.web.guard import Guard
from vtid.web.limits import Limiter
from vtid.web.metrics import Metrics
from vtid.web.requests import HTTPS, SAFETY, Outermost
from vtid.web.routes import (
    account,
    admin,
    auth,
    batch,
    callbacks,
    chunked,
    clips,
    compositions,
    credit,
    direct,
    editor,
    encoders,
    file_previews,
    files,
    health,
    jobs,
    login,
    pages,
    pipelines,
    previews,
    sockets,
    submit,
    tus,
    watches,
    webhooks,
)
from vtid.web.socket_io import SocketIO

ROUTES = (
    submit,
    batch,
    editor,
    compositions,
    clips,
    credit,
    jobs,
    sockets,
    previews,
    file_previews,
    webhooks,
    callbacks,
    chunked,
    tus,
    direct,
    files,
    auth,
    account,
    admin,
    watches,
    health,
    pipelines,
    encoders,
    pages,
    login,
    docs,
)


# These ask for `core` only so that Litestar gives it before them: dependencies that could be given at once it gives in
# a task each, which takes longer than everything that most routes do.


def current_principal(scope: Scope, core: Core) -> Principal:
    """Who asks. The gate has seen to it that there is somebody."""
    principal: Principal = scope["state"]["principal"]
    return principal


def current_user(scope: Scope, core: Core) -> str:
    """The id of who asks."""
    return current_principal(scope, core).user_id


def create_app(core: App, feed: EventFeed | None = None) -> Litestar:
    """The ASGI application.

    Args:
        core: the wired daemon. It stays the caller's to close.
        feed: in place of the usual one, for tests.

    The returned application's `state.feed` is to be closed before the server waits for open connections, so that event
    streams end at once.
    """
    feed = feed or EventFeed(core.jobs)
    metrics = Metrics(core, feed)
    guard, limiter = Guard(core.config), Limiter(core.config.queue_url)
    gate = Gate(core.accounts, limiter, core.config, guard)

    def provide_core() -> App:
        return core

    def provide_gate() -> Gate:
        return gate

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with feed.running():
            yield
        await limiter.close()

    web = Litestar(
        route_handlers=[handler for routes in ROUTES for handler in routes.handlers],
        middleware=[gate.before],
        response_class=View,
        dependencies={
            "core": Provide(provide_core, sync_to_thread=False),
            "gate": Provide(provide_gate, sync_to_thread=False),
            "user_id": Provide(current_user, sync_to_thread=False),
            "who": Provide(current_principal, sync_to_thread=False),
        },
        state=State({"feed": feed, "metrics": metrics, "gate": gate}),
        exception_handlers=HANDLERS,
        cors_config=_cors(core.config.server.cors_origins),
        lifespan=[lifespan],
        openapi_config=_openapi(core.version),
        request_max_body_size=None,  # each route that reads a body limits it itself, and says so in our words
        logging_config=None,  # structlog is configured by the process; requests.py writes the access log
        debug=False,
    )
    secure = (core.config.server.public_url or "").startswith("https://")
    live = SocketIO(core, feed, guard, gate)
    web.state.live = live
    feed.when_closed(live.close)
    web.asgi_handler = Outermost(live.beside(web.asgi_handler), guard, metrics, SAFETY | HTTPS if secure else SAFETY)
    return web


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    exposed = ["X-Request-ID", "Location", "Idempotency-Replayed", "Content-Range", "Accept-Ranges", "ETag"]
    exposed += ["Retry-After", "RateLimit", "RateLimit-Policy"]
    exposed += ["Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Expires", "Upload-Metadata"]
    exposed += ["Content-Location", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"]
    return CORSConfig(allow_origins=list(origins), expose_headers=exposed)


def _openapi(version: str) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="vtid",
        version=version,
        summary="Video in, video back.",
        description=(
            "Errors are `application/problem+json` (RFC 9457), with every single complaint in `errors`. "
            "Every POST that makes something takes `Idempotency-Key`: a repeat gives the first answer."
        ),
        use_handler_docstrings=True,
        openapi_router=docs.Nowhere("/schema", route_handlers=[]),
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http", scheme="bearer", description="An access token (JWT) or an API key (`vtid_…`)."
                ),
                "key": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
                "session": SecurityScheme(type="apiKey", name=COOKIE, security_scheme_in="cookie"),
            }
        ),
        security=[{"bearer": []}, {"key": []}, {"session": []}],
    )
