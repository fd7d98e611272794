"""Wiring of the HTTP side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from vtid.app import App
from vtid.web import docs
from vtid.web.errors import HANDLERS
from vtid.web.events import EventFeed
from vtid.web.guard import Guard
from vtid.web.metrics import Metrics
from vtid.web.requests import Outermost
from vtid.web.routes import files, health, jobs, pages, pipelines, previews, sockets, submit, webhooks
from vtid.web.socket_io import SocketIO
from vtid.web.who import EVERYBODY

ROUTES = (submit, jobs, sockets, previews, webhooks, health, files, pipelines, pages, docs)


def current_user() -> str:
    """Who asks. Everybody is one user until there are accounts, which come in here."""
    return EVERYBODY


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

    def provide_core() -> App:
        return core

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with feed.running():
            yield

    web = Litestar(
        route_handlers=[handler for routes in ROUTES for handler in routes.handlers],
        dependencies={
            "core": Provide(provide_core, sync_to_thread=False),
            "user_id": Provide(current_user, sync_to_thread=False),
        },
        state=State({"feed": feed, "metrics": metrics}),
        exception_handlers=HANDLERS,
        cors_config=_cors(core.config.server.cors_origins),
        lifespan=[lifespan],
        openapi_config=_openapi(core.version),
        request_max_body_size=None,  # each route that reads a body limits it itself, and says so in our words
        logging_config=None,  # structlog is configured by the process; requests.py writes the access log
        debug=False,
    )
    guard = Guard(core.config)
    live = SocketIO(core, feed, guard)
    feed.when_closed(live.close)
    web.asgi_handler = Outermost(live.beside(web.asgi_handler), guard, metrics)
    return web


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    exposed = ["X-Request-ID", "Location", "Idempotency-Replayed", "Content-Range", "Accept-Ranges", "ETag"]
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
    )
