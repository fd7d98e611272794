"""Uploads past the daemon: it signs, the client sends to the bucket, the daemon looks at what came."""

from __future__ import annotations

import time
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from vtid.app import App
from vtid.db import Upload
from vtid.errors import InvalidInput, Problem
from vtid.web import openapi, reading
from vtid.web.auth import TRANSFER
from vtid.web.file_schemas import (
    MOST_CHUNKS,
    AssetView,
    DirectJson,
    DirectUrls,
    DirectView,
    PartsJson,
    chunk_count,
    chunk_size,
)
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.routes.files import ASSET, view
from vtid.web.schemas import iso

TAGS = ["uploads"]
ROOT = "/api/v1/direct-upload"
PROTOCOL = "direct"
URL_S = 3600
"""How long the URL of a part works."""
AnyRequest = Request[Any, Any, Any]
STANDING = {
    "upload_id": openapi.JOB_ID,
    "filename": "holiday.mp4",
    "size": 104857600,
    "part_size": 67108864,
    "part_count": 2,
    "received": {"1": 67108864},
    "complete": False,
    "expires_at": "2025-12-02T10:30:00.000Z",
}
URLS = {"urls": {"1": "https://bucket…?partNumber=1&uploadId=…"}, "expires_at": "2025-12-01T11:30:00.000Z"}


async def _upload(core: App, upload_id: str, user_id: str) -> Upload:
    return await core.uploading.get(reading.upload_id(upload_id), user_id, PROTOCOL)


def _view(upload: Upload, received: dict[str, int]) -> DirectView:
    expires = iso(upload.expires_at)
    size, count = chunk_size(upload), chunk_count(upload)
    return DirectView(upload.id, upload.filename, upload.size, size, count, received, upload.finished, expires)


@post(
    ROOT,
    tags=TAGS,
    status_code=201,
    summary="Begin an upload to the bucket",
    operation_class=openapi.operation(body={"application/json": openapi.schema(DirectJson)}),
    responses={
        201: openapi.answer(DirectView, STANDING | {"received": {}}, "Begun"),
        **openapi.problems(400, 403, 409, 413, 422, 503),
    },
)
async def begin(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Say how large the file is. 409 where files are stored in a folder, to which nobody can send past the daemon."""
    wish = await reading.body(request, DirectJson)
    if -(-wish.size // wish.part_size) > MOST_CHUNKS:
        message = f"would make more than {MOST_CHUNKS} parts"
        raise InvalidInput(f"part_size {message}.", problems=[Problem("part_size", message)])

    async def make() -> Response[DirectView]:
        size = min(wish.part_size, wish.size)
        upload = await core.uploading.begin(user_id, PROTOCOL, wish.filename, wish.size, chunk_size=size)
        return Response(_view(upload, {}), status_code=201, headers={"Location": f"{ROOT}/{upload.id}"})

    return await once(core, request, user_id, idempotency_key, wish, make)


@post(
    f"{ROOT}/{{upload_id:str}}/parts",
    tags=TAGS,
    opt=TRANSFER,
    status_code=200,
    summary="URLs for parts",
    operation_class=openapi.operation(body={"application/json": openapi.schema(PartsJson)}),
    responses={200: openapi.answer(DirectUrls, URLS, "The URLs"), **openapi.problems(400, 403, 404, 409, 413, 503)},
)
async def sign_parts(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> DirectUrls:
    """Where to PUT parts, numbered from 1, in any order; each URL works for an hour."""
    upload = await _upload(core, upload_id, user_id)
    wish, count = await reading.body(request, PartsJson), chunk_count(upload)
    if wrong := [n for n in wish.numbers if n > count]:
        message = f"{wrong[0]} is too much: the upload has {count} parts"
        raise InvalidInput(f"numbers: {message}.", problems=[Problem("numbers", message)])
    urls = {str(n): core.uploading.part_url(upload, n, URL_S) for n in wish.numbers}
    return DirectUrls(urls, iso(time.time() + URL_S))


@get(
    f"{ROOT}/{{upload_id:str}}",
    tags=TAGS,
    summary="An upload to the bucket",
    responses={200: openapi.answer(DirectView, STANDING, "How it stands"), **openapi.problems(404, 503)},
)
async def get_upload(core: Core, user_id: User, upload_id: FromPath[str]) -> DirectView:
    """Which parts the bucket has."""
    upload = await _upload(core, upload_id, user_id)
    return _view(upload, {str(p.number): p.size for p in await core.uploading.direct_parts(upload)})


@post(
    f"{ROOT}/{{upload_id:str}}/complete",
    tags=TAGS,
    status_code=200,
    summary="Complete an upload to the bucket",
    responses={
        200: openapi.answer(AssetView, ASSET, "The file"),
        **openapi.problems(403, 404, 409, 413, 415, 422, 503, 507),
    },
)
async def complete(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> AssetView:
    """Put the parts together and look at the file. A repeat gives the same answer."""
    return view(core, request, await core.uploading.finish(await _upload(core, upload_id, user_id)))


@delete(
    f"{ROOT}/{{upload_id:str}}",
    tags=TAGS,
    summary="Drop an upload to the bucket",
    responses=openapi.problems(403, 404, 503),
)
async def drop(core: Core, user_id: User, upload_id: FromPath[str]) -> Response[None]:
    """Forget an upload and its parts; of a complete one the file stays."""
    await core.uploading.drop(await _upload(core, upload_id, user_id))
    return Response(None, status_code=204)


handlers = (begin, sign_parts, get_upload, complete, drop)
