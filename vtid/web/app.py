"""Wiring of the HTTP side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from vtid.app import App
from vtid.web import docs
from vtid.web.errors import HANDLERS
from vtid.web.events import HEARTBEAT_S, EventFeed
from vtid.web.guard import Guard
from vtid.web.metrics import Metrics
from vtid.web.routes import files, health, jobs, pages, pipelines

USER = "local"
"""Everybody, until there are accounts."""


SHOWN_HEADERS = ["Location", "Idempotency-Replayed", "X-Request-ID", "Content-Range", "Accept-Ranges", "ETag"]
"""Which headers of ours the scripts of other sites' pages may read, where those pages may call at all."""


def create_app(core: App, *, heartbeat_s: float = HEARTBEAT_S) -> Litestar:
    """The ASGI application.

    Args:
        core: the wired daemon. It stays the caller's to close.
        heartbeat_s: how long an event stream may be silent.

    The returned application's `state.feed` is to be closed before the server waits for open connections, so that event
    streams end at once.
    """
    feed, metrics, server = EventFeed(core.jobs, heartbeat_s), Metrics(core), core.config.server

    def provide_core() -> App:
        return core

    def provide_user() -> str:
        return USER

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with feed.running():
            yield

    app = Litestar(
        route_handlers=[
            *jobs.handlers,
            *health.handlers,
            *files.handlers,
            *pipelines.handlers,
            *pages.handlers,
            *docs.handlers,
        ],
        dependencies={
            "core": Provide(provide_core, sync_to_thread=False),
            "user_id": Provide(provide_user, sync_to_thread=False),
        },
        state=State({"feed": feed, "metrics": metrics}),
        exception_handlers=HANDLERS,
        lifespan=[lifespan],
        cors_config=CORSConfig(allow_origins=list(server.cors_origins), expose_headers=SHOWN_HEADERS)
        if server.cors_origins
        else None,
        openapi_config=OpenAPIConfig(
            title="vtid",
            version=core.version,
            summary="Video in, video back.",
            description="Errors are `application/problem+json` (RFC 9457). "
            "Every POST that makes something takes `Idempotency-Key`.",
            path="/schema",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        logging_config=None,  # structlog is configured by the process, and the guard writes the access log
        debug=False,
    )
    app.asgi_handler = Guard(app.asgi_handler, server.public_url, server.cors_origins, metrics)
    return app
