"""What this daemon can do: its pipelines, its plugins, and how much it takes in."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from msgspec import Meta, Struct

from vtid.accounts import pricing
from vtid.errors import Problem
from vtid.web import openapi
from vtid.web.composition_schemas import MOST_CLIPS, ClipLimits, CompositionLimits, LimitsView
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
    paid: Annotated[bool, Meta(description="Costs the operator money; only for tiers with `paid_steps`.")]
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
    "paid": False,
    "steps": ["inpaint_local.remove"],
    "problems": [],
}
GHOSTCUT = {
    "name": "inpaint_ghostcut",
    "version": "0.1.0",
    "status": "not ready",
    "reason": "set GHOSTCUT_API_KEY, or api_key in [plugins.inpaint_ghostcut]",
    "steps": ["inpaint_ghostcut.remove"],
}


LIMITS = {
    "compositions": {"max_clips": 20, "max_overlays": 10, "max_duration_seconds": 3600.0},
    "process_clips": {"max_clips": 100},
    "max_upload_mb": 2048,
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
            bool(r.pipeline and pricing.paid_steps(r.pipeline, core.plugins.specs)),
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


@get(
    "/api/v1/limits",
    tags=TAGS,
    summary="What is taken in",
    responses={200: openapi.answer(LimitsView, LIMITS, "The limits")},
)
async def limits(core: Core) -> LimitsView:
    """How much one request may ask for; what an account may do, `GET /api/v1/auth/me` says."""
    films = core.config.compositions
    return LimitsView(
        CompositionLimits(films.max_clips, films.max_overlays, films.max_seconds),
        ClipLimits(MOST_CLIPS),
        core.config.server.max_upload_mb,
    )


handlers = (pipelines, plugins, limits)
