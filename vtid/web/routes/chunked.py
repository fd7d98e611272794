"""Uploads in chunks of one size, in any order, each as often as needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from vtid.app import App
from vtid.db import Upload
from vtid.engine.parts import PartWriter
from vtid.errors import Conflict, InvalidInput, Problem, TooLarge
from vtid.web import openapi, reading
from vtid.web.auth import TRANSFER
from vtid.web.file_schemas import (
    MOST_CHUNKS,
    AssetView,
    ChunkedInitJson,
    ChunkedInitView,
    ChunkedView,
    ChunkFields,
    ChunkView,
    chunk_count,
    chunk_size,
)
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.routes.files import ASSET, view
from vtid.web.schemas import iso
from vtid.web.uploads import receive

TAGS = ["uploads"]
ROOT = "/api/v1/chunked-upload"
PROTOCOL = "chunked"
AnyRequest = Request[Any, Any, Any]
BEGUN = {
    "upload_id": openapi.JOB_ID,
    "chunk_count": 20,
    "chunk_size": 5242880,
    "expires_at": "2025-12-02T10:30:00.000Z",
}
CHUNK = {"upload_id": openapi.JOB_ID, "chunk_index": 0, "size": 5242880, "chunks_received": 1, "chunk_count": 20}
STANDING = BEGUN | {
    "filename": "holiday.mp4",
    "total_size": 104857600,
    "received": [0],
    "missing": list(range(1, 20)),
    "complete": False,
}


async def _upload(core: App, upload_id: str, user_id: str) -> Upload:
    return await core.uploading.get(reading.upload_id(upload_id), user_id, PROTOCOL)


@post(
    f"{ROOT}/init",
    tags=TAGS,
    status_code=200,
    summary="Begin an upload in chunks",
    operation_class=openapi.operation(body={"application/json": openapi.schema(ChunkedInitJson)}),
    responses={200: openapi.answer(ChunkedInitView, BEGUN, "Begun"), **openapi.problems(400, 403, 409, 413, 422, 503)},
)
async def init(core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Say how large the file is, and in how large chunks it will come."""
    wish = await reading.body(request, ChunkedInitJson)
    if -(-wish.total_size // wish.chunk_size) > MOST_CHUNKS:
        least = -(-wish.total_size // MOST_CHUNKS)
        message = f"would make more than {MOST_CHUNKS} chunks; take at least {least}"
        raise InvalidInput(f"chunk_size {message}.", problems=[Problem("chunk_size", message)])

    async def make() -> Response[ChunkedInitView]:
        size = min(wish.chunk_size, wish.total_size)
        upload = await core.uploading.begin(
            user_id, PROTOCOL, wish.filename, wish.total_size, chunk_size=size, named="total_size"
        )
        view = ChunkedInitView(upload.id, chunk_count(upload), chunk_size(upload), iso(upload.expires_at))
        return Response(view, status_code=200)

    return await once(core, request, user_id, idempotency_key, wish, make)


@post(
    f"{ROOT}/chunk/{{upload_id:str}}",
    tags=TAGS,
    opt=TRANSFER,
    status_code=200,
    summary="Send a chunk",
    operation_class=openapi.operation(
        body={"multipart/form-data": openapi.form(ChunkFields, required="chunk", chunk="The bytes.")}
    ),
    responses={
        200: openapi.answer(ChunkView, CHUNK, "Stored"),
        **openapi.problems(400, 403, 404, 409, 413, 415, 503, 507),
    },
)
async def chunk(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> ChunkView:
    """Store one chunk. Once this has answered, the chunk survives whatever happens to the daemon."""
    upload = await _upload(core, upload_id, user_id)
    writers: list[PartWriter] = []

    async def opener(_filename: str, fields: Mapping[str, str]) -> PartWriter:
        index = fields.get("chunk_index", "")  # of a client that sends it first
        known = re.fullmatch("[0-9]{1,9}", index) is not None and int(index) < chunk_count(upload)
        writers.append(core.uploading.writer(upload, place=int(index) * chunk_size(upload) if known else None))
        return writers[-1]

    try:
        form = await receive(request, {"chunk": opener}, chunk_size(upload), too_large=_oversized(upload))
        problems = form.problems
        if not form.files and not any(p.field == "chunk" for p in problems):
            problems.append(Problem("chunk", "is missing; send the bytes as a file of this name", "missing"))
        given = reading.convert(form.fields, ChunkFields, problems, strict=False)
        if given is not None and form.files:
            problems += _misfit(upload, given.chunk_index, writers[0].size)
        if problems or given is None:
            raise InvalidInput(str(problems[0]), problems=problems)
        received = await core.uploading.put(upload, writers[0], given.chunk_index * chunk_size(upload))
    except BaseException:
        for writer in writers:
            await core.uploading.refuse(writer)
        raise
    return ChunkView(upload.id, given.chunk_index, writers[0].size, received, chunk_count(upload))


def _oversized(upload: Upload) -> Callable[[int], Exception]:
    def too_large(limit: int) -> Exception:
        message = f"is larger than the chunk_size of this upload, {limit} bytes"
        return TooLarge(f"The chunk {message}.", problems=[Problem("chunk", message, "too_large")])

    return too_large


def _misfit(upload: Upload, index: int, size: int) -> list[Problem]:
    count, each = chunk_count(upload), chunk_size(upload)
    if index >= count:
        return [Problem("chunk_index", f"must be at most {count - 1}: the upload has {count} chunks")]
    want = min(each, upload.size - index * each)
    if size != want:
        return [Problem("chunk", f"must have {want} bytes as chunk {index} of {count}; it has {size}", "wrong_size")]
    return []


@get(
    f"{ROOT}/{{upload_id:str}}",
    tags=TAGS,
    summary="An upload in chunks",
    responses={200: openapi.answer(ChunkedView, STANDING, "How it stands"), **openapi.problems(404, 503)},
)
async def get_upload(core: Core, user_id: User, upload_id: FromPath[str]) -> ChunkedView:
    """Which chunks are there, and which are not."""
    upload = await _upload(core, upload_id, user_id)
    received, missing = await _chunks(core, upload)
    return ChunkedView(
        upload.id,
        upload.filename,
        upload.size,
        chunk_size(upload),
        chunk_count(upload),
        received,
        missing,
        upload.finished,
        iso(upload.expires_at),
    )


async def _chunks(core: App, upload: Upload) -> tuple[list[int], list[int]]:
    every = range(chunk_count(upload))
    if upload.finished:
        return list(every), []
    there = {part.position // chunk_size(upload) for part in await core.uploading.parts(upload)}
    return sorted(there), [i for i in every if i not in there]


@post(
    f"{ROOT}/complete/{{upload_id:str}}",
    tags=TAGS,
    status_code=200,
    summary="Complete an upload in chunks",
    responses={
        200: openapi.answer(AssetView, ASSET, "The file"),
        **openapi.problems(403, 404, 409, 413, 415, 422, 503, 507),
    },
)
async def complete(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> AssetView:
    """Put the chunks together and look at the file. A repeat gives the same answer."""
    upload = await _upload(core, upload_id, user_id)
    _, missing = await _chunks(core, upload)
    if missing:
        some = ", ".join(map(str, missing[:20])) + (", …" if len(missing) > 20 else "")
        message = f"{len(missing)} of {chunk_count(upload)} chunks are missing: {some}"
        raise Conflict(f"{message}.", problems=[Problem("chunks", message, "incomplete")])
    return view(core, request, await core.uploading.finish(upload))


@delete(
    f"{ROOT}/{{upload_id:str}}",
    tags=TAGS,
    summary="Drop an upload in chunks",
    responses=openapi.problems(403, 404, 503),
)
async def drop(core: Core, user_id: User, upload_id: FromPath[str]) -> Response[None]:
    """Forget an upload and its chunks; of a complete one the file stays."""
    await core.uploading.drop(await _upload(core, upload_id, user_id))
    return Response(None, status_code=204)


handlers = (init, chunk, get_upload, complete, drop)
