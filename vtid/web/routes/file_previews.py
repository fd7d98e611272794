"""Previews of a file for an editor: made once for each content, served with ranges and `ETag`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get, post, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from vtid.app import App
from vtid.db import Derivation
from vtid.domain.artifact import Artifact, Asset
from vtid.domain.job import Job
from vtid.errors import AlreadyMade, MediaError, NotFound, Problem
from vtid.web import openapi, reading
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.linking import link
from vtid.web.preview_schemas import (
    FilePreviews,
    StillsJson,
    StillsView,
    named,
    previews_view,
    stills_view,
)
from vtid.web.ranges import serve

ROOT = "/api/v1/files/{asset_id:str}"
TAGS = ["previews"]
PIPELINES = {"video": "previews", "audio": "previews-audio"}
"""By the kind of file, which is the name of its source too."""
STILLS = "stills"
AnyRequest = Request[Any, Any, Any]
URL = "http://localhost:8750/files/…?expires=…&signature=…"
_STANDING = {
    "job_id": openapi.JOB_ID,
    "asset_id": openapi.JOB_ID,
    "status": "completed",
    "progress": 100,
    "message": "Completed",
    "error": None,
}
PREVIEWS = _STANDING | {
    "facts": {"url": URL, "frames": 312, "duration_s": 12.48, "variable": False},
    "proxy": {"url": URL, "width": 1280, "height": 720, "size": 1048576, "encoder": "libx264"},
    "waveform": {
        "url": URL,
        "sample_rate": 48000,
        "duration_s": 12.48,
        "levels": [{"per_second": 100.0, "samples_per_pixel": 480, "length": 1248, "offset": 0, "size": 2520}],
    },
    "sprites": {
        "url": f"http://localhost:8750/api/v1/files/{openapi.JOB_ID}/previews/sprites.vtt",
        "sheets": [URL],
        "width": 160,
        "height": 90,
        "columns": 10,
        "rows": 2,
        "interval_s": 1.0,
        "count": 13,
    },
    "shots": {"url": URL, "count": 4},
}
PICTURES = _STANDING | {"stills": [{"at_s": 2.5, "width": 640, "height": 360, "url": URL}]}


@post(
    f"{ROOT}/previews",
    tags=TAGS,
    status_code=202,
    summary="Prepare a file for an editor",
    responses={
        200: openapi.answer(FilePreviews, PREVIEWS, "They are there, or on their way"),
        202: openapi.answer(FilePreviews, PREVIEWS | {"status": "queued", "progress": 0}, "They will be made"),
        **openapi.problems(403, 404, 409, 422, 503, 507),
    },
)
async def make_previews(
    core: Core, request: AnyRequest, user_id: User, asset_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[FilePreviews]:
    """Make frame times, a proxy, a waveform, thumbnails and shots of a video; of a sound, its waveform.

    They are made once for each content: of a file that was sent twice, and when asked again, they are there already.
    They cost no credits.
    """
    asset = await core.assets.get(reading.asset_id(asset_id), user_id)

    async def make() -> Response[FilePreviews]:
        job, fresh = await _derived(core, user_id, asset, _pipeline(asset), {})
        return Response(await _previews(core, request, job, asset), status_code=202 if fresh else 200)

    return await once(core, request, user_id, idempotency_key, asset.id, make)


@get(
    f"{ROOT}/previews",
    tags=TAGS,
    summary="The previews of a file",
    responses={200: openapi.answer(FilePreviews, PREVIEWS, "As far as they are there"), **openapi.problems(404, 503)},
)
async def get_previews(core: Core, request: AnyRequest, user_id: User, asset_id: FromPath[str]) -> FilePreviews:
    """Each as soon as it is there: the proxy need not wait for the thumbnails. 404 where nobody asked for them."""
    asset = await core.assets.get(reading.asset_id(asset_id), user_id)
    return await _previews(core, request, await _made(core, user_id, asset), asset)


@route(
    f"{ROOT}/previews/{{name:str}}",
    http_method=["GET", "HEAD"],
    tags=TAGS,
    summary="One of the previews of a file",
    operation_class=openapi.operation(headers={"Range": "Such as `bytes=0-1023`."}),
    operation_id=lambda _handler, method, _path: f"{HttpMethod(method).value.lower()}_file_preview",
    responses={**openapi.FILES, **openapi.problems(404, 416, 503)},
)
async def get_preview_file(
    core: Core, request: AnyRequest, user_id: User, asset_id: FromPath[str], name: FromPath[str]
) -> Response[Any]:
    """`facts.json`, `proxy.mp4`, `waveform.dat`, `sprites.vtt`, `sprite-1.jpg` … or `shots.json`, with ranges."""
    asset = await core.assets.get(reading.asset_id(asset_id), user_id)
    made = named(await core.jobs.artifacts((await _made(core, user_id, asset)).id))
    if name not in made:
        there = f"there are: {', '.join(sorted(made))}" if made else "none is there yet"
        raise NotFound(f"There is no preview {name} of this file; {there}.")
    return await asyncio.to_thread(serve, request, core.storage, made[name].key, name)


@post(
    f"{ROOT}/stills",
    tags=TAGS,
    status_code=202,
    summary="Single pictures of a video",
    operation_class=openapi.operation(body={"application/json": openapi.schema(StillsJson)}),
    responses={
        200: openapi.answer(StillsView, PICTURES, "They are there, or on their way"),
        202: openapi.answer(StillsView, PICTURES | {"status": "queued", "progress": 0, "stills": []}, "Taken in"),
        **openapi.problems(400, 403, 404, 409, 413, 422, 503, 507),
    },
)
async def make_stills(
    core: Core, request: AnyRequest, user_id: User, asset_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[StillsView]:
    """The pictures at these seconds, as a player shows them. Ask again, with the same body, until it is `completed`."""
    asset = await core.assets.get(reading.asset_id(asset_id), user_id)
    wish = await reading.body(request, StillsJson)
    _pipeline(asset)
    params = {"at": wish.at, "widths": [wish.width] if wish.width else [], "format": wish.format}

    async def make() -> Response[StillsView]:
        job, fresh = await _derived(core, user_id, asset, STILLS, params)
        made = await core.jobs.artifacts(job.id)
        view = stills_view(job, asset.id, made, lambda one: link(core, request, one.key, one.filename))
        return Response(view, status_code=202 if fresh else 200)

    return await once(core, request, user_id, idempotency_key, [asset.id, params], make)


def _pipeline(asset: Asset) -> str:
    """What previews are made by. Raises `MediaError` of a file that is neither a video nor a sound."""
    if asset.kind not in PIPELINES:
        words = f"{asset.filename} is {'a still picture' if asset.kind == 'image' else 'no media file'}"
        raise MediaError(f"{words}; there are no previews of it.", problems=[Problem("asset_id", words, "wrong_kind")])
    return PIPELINES[asset.kind]


async def _derived(core: App, user_id: str, asset: Asset, pipeline: str, params: Mapping[str, Any]) -> tuple[Job, bool]:
    """The job that makes it, and whether it is a new one."""
    wanted = Derivation.of(asset, pipeline, core.version, params)
    if known := await core.derived.find(user_id, wanted):
        return await core.jobs.get(known, user_id), False
    async with core.intake.draft(user_id) as draft:
        draft.use_asset("audio" if pipeline == PIPELINES["audio"] else "video", asset)
        draft.derive(wanted)
        try:
            return await draft.submit(pipeline=pipeline, params=params), True
        except AlreadyMade as first:  # of another request, a moment ago
            return await core.jobs.get(first.job_id, user_id), False


async def _made(core: App, user_id: str, asset: Asset) -> Job:
    """The job that makes the previews of a file. Raises `NotFound`."""
    known = await core.derived.find(user_id, Derivation.of(asset, _pipeline(asset), core.version, {}))
    if known is None:
        raise NotFound(f"There are no previews of {asset.filename}; POST to this address makes them.")
    return await core.jobs.get(known, user_id)


async def _previews(core: App, request: AnyRequest, job: Job, asset: Asset) -> FilePreviews:
    made, runs = await core.jobs.artifacts(job.id), await core.jobs.runs(job.id)
    beside = f"{str(request.base_url).rstrip('/')}/api/v1/files/{asset.id}/previews/"

    def signed(one: Artifact) -> str:
        return link(core, request, one.key, one.filename)

    return previews_view(job, asset.id, runs, made, signed, beside)


handlers = (make_previews, get_previews, get_preview_file, make_stills)
