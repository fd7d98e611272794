"""Files: those that came in, for their owners; any stored file, for whoever has a signed URL."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from litestar import Request, Response, delete, get, post, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from vtid.app import App
from vtid.db import AssetFilter
from vtid.domain.artifact import Asset
from vtid.web import openapi, paging, reading
from vtid.web.errors import HttpError
from vtid.web.file_schemas import (
    AssetDetail,
    AssetList,
    AssetQuery,
    AssetView,
    ShareJson,
    ShareView,
    UsageView,
    asset_detail,
    asset_view,
    usage_view,
)
from vtid.web.given import Core, User
from vtid.web.linking import link
from vtid.web.ranges import serve
from vtid.web.schemas import FileQuery, iso

TAGS = ["files"]
ROOT = "/api/v1/files"
AnyRequest = Request[Any, Any, Any]
ASSET = {
    "asset_id": openapi.JOB_ID,
    "filename": "holiday.mp4",
    "size": 1048576,
    "kind": "video",
    "created_at": "2025-12-01T10:30:00.000Z",
    "job_id": None,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "duration": 12.48,
    "width": 1280,
    "height": 720,
    "container": "mp4",
    "video_codec": "h264",
    "audio_codec": "aac",
    "url": f"http://localhost:8750/files/users/local/assets/{openapi.JOB_ID}/holiday.mp4?expires=…&signature=…",
}
USAGE = {"total": 3145728, "quota": None, "assets": 1048576, "asset_count": 1, "artifacts": 2097152, "uploads": 0}
SHARE = {"url": ASSET["url"], "expires_at": "2025-12-02T10:30:00.000Z"}


def view(core: App, request: AnyRequest, asset: Asset) -> AssetView:
    """A file with a signed URL."""
    return asset_view(asset, link(core, request, asset.key, asset.filename))


@get(
    ROOT,
    tags=TAGS,
    summary="List files",
    operation_class=openapi.operation(query=AssetQuery),
    responses={
        200: openapi.answer(AssetList, {"files": [ASSET], "next": None}, "A page"),
        **openapi.problems(400, 503),
    },
)
async def list_files(core: Core, request: AnyRequest, user_id: User) -> AssetList:
    """The files that you sent, by themselves or with a job, newest first."""
    wanted = reading.query(request, AssetQuery)
    before = paging.position(wanted.cursor)
    text = wanted.text or wanted.q
    found = await core.assets.list(AssetFilter(user_id, wanted.kind, text, before, wanted.limit + 1))
    page, following = paging.page(found, wanted.limit)
    return AssetList([view(core, request, asset) for asset in page], following)


@get(
    f"{ROOT}/usage",
    tags=TAGS,
    summary="Storage usage",
    responses={200: openapi.answer(UsageView, USAGE, "What is stored"), **openapi.problems(503)},
)
async def get_usage(core: Core, user_id: User) -> UsageView:
    """How many bytes you have stored, and how many you may have."""
    return usage_view(await core.assets.usage(user_id), await core.quota(user_id))


@get(
    f"{ROOT}/{{asset_id:str}}",
    tags=TAGS,
    summary="One file",
    responses={200: openapi.answer(AssetDetail, ASSET | {"info": None}, "The file"), **openapi.problems(404, 503)},
)
async def get_one(core: Core, request: AnyRequest, user_id: User, asset_id: FromPath[str]) -> AssetDetail:
    """What is known of a file, every stream with its facts."""
    asset = await core.assets.get(reading.asset_id(asset_id), user_id)
    return asset_detail(asset, link(core, request, asset.key, asset.filename))


@route(
    f"{ROOT}/{{asset_id:str}}/content",
    http_method=["GET", "HEAD"],
    tags=TAGS,
    summary="The bytes of a file",
    operation_class=openapi.operation(headers={"Range": "Such as `bytes=0-1023`."}),
    operation_id=lambda _handler, method, _path: f"{HttpMethod(method).value.lower()}_asset_content",
    responses={**openapi.FILES, **openapi.problems(404, 416, 503)},
)
async def get_content(core: Core, request: AnyRequest, user_id: User, asset_id: FromPath[str]) -> Response[Any]:
    """The file, or the range of it that is asked for (206); conditions by `ETag` are kept."""
    asset = await core.assets.get(reading.asset_id(asset_id), user_id)
    return await asyncio.to_thread(serve, request, core.storage, asset.key, asset.filename)


@post(
    f"{ROOT}/{{asset_id:str}}/share",
    tags=TAGS,
    status_code=200,
    summary="Share a file",
    operation_class=openapi.operation(body={"application/json": openapi.schema(ShareJson)}, body_required=False),
    responses={200: openapi.answer(ShareView, SHARE, "The link"), **openapi.problems(400, 403, 404, 413, 503)},
)
async def share(core: Core, request: AnyRequest, user_id: User, asset_id: FromPath[str]) -> ShareView:
    """A link that serves the file to whoever has it, until it expires; deleting the file ends it at once."""
    asset = await core.assets.get(reading.asset_id(asset_id), user_id)
    wish = await reading.body(request, ShareJson, empty=True)
    url = link(core, request, asset.key, asset.filename, ttl_s=wish.ttl_seconds)
    return ShareView(url, iso(time.time() + wish.ttl_seconds))


@delete(
    f"{ROOT}/{{asset_id:str}}",
    tags=TAGS,
    summary="Delete a file",
    responses=openapi.problems(403, 404, 409, 503),
)
async def delete_one(core: Core, user_id: User, asset_id: FromPath[str]) -> None:
    """Remove a file; 409 while a job works on it. Jobs that have ended keep their results, and cannot be retried."""
    await core.removal.asset(reading.asset_id(asset_id), user_id)


@route(
    "/files/{key:path}",
    http_method=["GET", "HEAD"],
    tags=TAGS,
    summary="A stored file",
    operation_class=openapi.operation(query=FileQuery, headers={"Range": "Such as `bytes=0-1023`."}),
    operation_id=lambda _handler, method, _path: f"{HttpMethod(method).value.lower()}_file",
    responses={**openapi.FILES, **openapi.problems(403, 404, 416)},
)
async def get_file(core: Core, request: AnyRequest, key: FromPath[str]) -> Response[Any]:
    """The file, or the range of it that is asked for (206). Signed URLs come with jobs and files, and expire."""
    proof, key = reading.query(request, FileQuery), key.lstrip("/")
    if not core.links.verify(key, expires=proof.expires, signature=proof.signature, filename=proof.name):
        raise HttpError(
            403,
            "bad_link",
            "This link is not valid, or has expired.",
            suggestion="Ask for the job or the file again; it comes with a new link.",
        )
    return await asyncio.to_thread(serve, request, core.storage, key, proof.name or None)


handlers = (list_files, get_usage, get_one, get_content, share, delete_one, get_file)
