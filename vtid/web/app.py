"""Wiring of the HTTP side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from vtid.app import App
from vtid.web import docs
from vtid.web.errors import HANDLERS
from vtid.web.events import EventFeed
from vtid.web.guard import Guard
from vtid.web.metrics import Metrics
from vtid.web.routes import files, health, jobs, pages, pipelines

USER = "local"
"""Everybody, until there are accounts."""


def create_app(core: App) -> Litestar:
    """The ASGI application.

    Args:
        core: the wired daemon. It stays the caller's to close.

    The returned application's `state.feed` is to be closed before the server waits for open connections, so that event
    streams end at once.
    """
    feed, metrics = EventFeed(core.jobs), Metrics(core)

    def provide_core() -> App:
        return core

    def provide_user() -> str:
        return USER

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with feed.running():
            yield

    return Litestar(
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
        middleware=[Guard(core.config.server.public_url, metrics)],
        exception_handlers=HANDLERS,
        lifespan=[lifespan],
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
