"""Health and metrics."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from vtid.app import App
from vtid.web.schemas import CheckView, HealthView

TAGS = ["health"]


@get(["/health", "/api/v1/health"], tags=TAGS, summary="Is the daemon well?")
async def health(core: App) -> Response[HealthView]:
    """200 when jobs can be taken and run; 503 and what is wrong when not."""
    checks = await core.health()
    problems = {name: check.detail or "failed" for name, check in checks.items() if not check.ok}
    services = [name for name in checks if name not in problems]
    if problems:
        return Response(HealthView("unhealthy", services, problems), status_code=503)
    return Response(HealthView("healthy", services))


async def _one(core: App, name: str) -> Response[CheckView]:
    check = (await core.health())[name]
    if check.ok:
        return Response(CheckView("healthy", check.latency_ms))
    return Response(CheckView("unhealthy", check.latency_ms, check.detail or "failed"), status_code=503)


@get("/health/db", tags=TAGS, summary="The database")
async def health_db(core: App) -> Response[CheckView]:
    """Whether the database answers."""
    return await _one(core, "db")


@get(["/health/queue", "/health/redis"], tags=TAGS, summary="The queue")
async def health_queue(core: App) -> Response[CheckView]:
    """Whether the queue answers."""
    return await _one(core, "queue")


@get("/health/storage", tags=TAGS, summary="The storage")
async def health_storage(core: App) -> Response[CheckView]:
    """Whether files can be stored and read back."""
    return await _one(core, "storage")


@get("/metrics", tags=TAGS, summary="Metrics for Prometheus", media_type="text/plain; version=0.0.4; charset=utf-8")
async def metrics(request: Request[Any, Any, Any]) -> bytes:
    """Requests, jobs by state, workers, queue."""
    text: bytes = await request.app.state.metrics.text()
    return text


handlers = (health, health_db, health_queue, health_storage, metrics)
