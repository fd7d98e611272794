"""What this daemon can do: its pipelines and plugins."""

from __future__ import annotations

from litestar import get
from msgspec import Struct

from vtid.errors import Problem
from vtid.web import openapi
from vtid.web.given import Core

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


REMOVE_TEXT = {
    "name": "remove-text",
    "title": "Remove text",
    "description": "Finds burned-in text and paints it over.",
    "ready": True,
    "reason": None,
    "steps": ["inpaint_local.remove"],
    "problems": [],
}
GHOSTCUT = {
    "name": "inpaint_ghostcut",
    "version": "0.1.0",
    "status": "unavailable",
    "reason": "api_key is not set",
    "steps": ["inpaint_ghostcut.remove"],
}


@get(
    "/api/v1/pipelines",
    tags=TAGS,
    summary="List pipelines",
    responses={200: openapi.answer(list[PipelineView], [REMOVE_TEXT], "The pipelines")},
)
async def pipelines(core: Core) -> list[PipelineView]:
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


@get(
    "/api/v1/plugins",
    tags=TAGS,
    summary="List plugins",
    responses={200: openapi.answer(list[PluginView], [GHOSTCUT], "The plugins")},
)
async def plugins(core: Core) -> list[PluginView]:
    """Every plugin, with its status and the reason."""
    return [PluginView(r.name, r.version, r.status.value, r.reason, sorted(r.specs)) for r in core.plugins.records]


handlers = (pipelines, plugins)
