"""Health and metrics."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from vtid.app import App
from vtid.domain.account import Role
from vtid.web import openapi
from vtid.web.given import Core
from vtid.web.schemas import CheckView, HealthView

TAGS = ["health"]
SERVICES = ["db", "queue", "storage", "workers"]
WELL = {
    200: openapi.answer(HealthView, {"status": "healthy", "services": SERVICES}, "Well"),
    503: openapi.answer(
        HealthView,
        {"status": "unhealthy", "services": SERVICES[:3], "problems": {"workers": "no worker has shown itself lately"}},
        "Not well",
    ),
}
WORKS = {
    200: openapi.answer(CheckView, {"status": "healthy", "latency_ms": 0.4}, "It works"),
    503: openapi.answer(CheckView, {"status": "unhealthy", "latency_ms": 15000, "detail": "locked"}, "It does not"),
}


@get(["/health", "/api/v1/health"], tags=TAGS, summary="Is the daemon well?", responses=WELL)
async def health(core: Core) -> Response[HealthView]:
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


@get("/health/db", tags=TAGS, summary="The database", responses=WORKS)
async def health_db(core: Core) -> Response[CheckView]:
    """Whether the database answers."""
    return await _one(core, "db")


@get(["/health/queue", "/health/redis"], tags=TAGS, summary="The queue", responses=WORKS)
async def health_queue(core: Core) -> Response[CheckView]:
    """Whether the queue answers."""
    return await _one(core, "queue")


@get("/health/storage", tags=TAGS, summary="The storage", responses=WORKS)
async def health_storage(core: Core) -> Response[CheckView]:
    """Whether files can be stored and read back."""
    return await _one(core, "storage")


@get(
    "/metrics",
    tags=TAGS,
    summary="Metrics for Prometheus",
    media_type="text/plain; version=0.0.4; charset=utf-8",
    opt={"role": Role.ADMIN},
)
async def metrics(request: Request[Any, Any, Any]) -> bytes:
    """Requests, jobs by state, workers, queue: everybody's, and so for a key of an admin (`vtid keys create`)."""
    text: bytes = await request.app.state.metrics.text()
    return text


handlers = (health, health_db, health_queue, health_storage, metrics)
