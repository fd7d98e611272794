"""What this daemon can do: its pipelines and plugins."""

from __future__ import annotations

from litestar import get
from msgspec import Struct

from vtid.app import App
from vtid.errors import Problem

TAGS = ["pipelines"]


class PipelineView(Struct):
    """A pipeline."""

    name: str
    title: str
    description: str
    ready: bool
    reason: str | None
    """Why it cannot run now."""
    steps: list[str]
    problems: list[Problem]


class PluginView(Struct):
    """A plugin."""

    name: str
    version: str
    status: str
    reason: str
    steps: list[str]


@get("/api/v1/pipelines", tags=TAGS, summary="List pipelines")
async def pipelines(core: App) -> list[PipelineView]:
    """Every pipeline, those that cannot run with the reason."""
    return [
        PipelineView(
            r.name,
            r.title,
            r.pipeline.description if r.pipeline else "",
            r.ready,
            r.unavailable,
            [s.uses for s in r.pipeline.steps] if r.pipeline else [],
            [Problem(p.field, p.message, p.code) for p in r.problems],
        )
        for r in core.pipelines.records
    ]


@get("/api/v1/plugins", tags=TAGS, summary="List plugins")
async def plugins(core: App) -> list[PluginView]:
    """Every plugin, with its status and the reason."""
    return [PluginView(r.name, r.version, r.status.value, r.reason, sorted(r.specs)) for r in core.plugins.records]


handlers = (pipelines, plugins)
