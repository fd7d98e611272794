"""tus 1.0: uploads that stock clients resume (https://tus.io), with creation, expiration, termination and checksum."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

from litestar import MediaType, Request, Response, delete, get, patch, post, route
from litestar.params import FromPath

from vtid.app import App
from vtid.db import Upload
from vtid.engine.parts import PartWriter
from vtid.errors import Conflict, InvalidInput, Problem, TooLarge, VtidError
from vtid.web import openapi, reading
from vtid.web.auth import TRANSFER
from vtid.web.errors import ClientGone, HttpError, known
from vtid.web.file_schemas import TusView
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.reading import chunks
from vtid.web.routes.files import ASSET, view
from vtid.web.schemas import iso
from vtid.web.sinks import Sink, threaded

TAGS = ["uploads"]
ROOT = "/api/v1/tus"
PROTOCOL = "tus"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
CONTENT_TYPE = "application/offset+octet-stream"
PART = 16 << 20
"""Bytes after which what came is acknowledged, so that no more than this is sent again after a crash."""
HEADER = {"Tus-Resumable": VERSION}
AnyRequest = Request[Any, Any, Any]
LENGTHS = {"Upload-Length": "Bytes of the file.", "Upload-Metadata": "`filename` and its name in base64."}
PATCHED = {
    "Upload-Offset": "From where on.",
    "Upload-Checksum": "Algorithm and digest in base64, of this request's body.",
}
STANDING = {
    "upload_id": openapi.JOB_ID,
    "filename": "holiday.mp4",
    "size": 1048576,
    "offset": 1048576,
    "complete": True,
    "asset": ASSET,
    "expires_at": "2025-12-02T10:30:00.000Z",
}


def _refuse(request: AnyRequest, error: VtidError) -> Response[Any]:
    """As everywhere, with the header that every answer of this protocol has."""
    response = known(request, error)
    response.headers |= HEADER
    return response


REFUSALS: dict[Any, Any] = {VtidError: _refuse}


def _require_version(request: AnyRequest) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        given = request.headers.get("tus-resumable") or "missing"
        raise HttpError(
            412,
            "tus_version",
            f"Tus-Resumable is {given}; this server speaks {VERSION}.",
            headers={"Tus-Version": VERSION},
        )


async def _upload(core: App, request: AnyRequest, upload_id: str, user_id: str) -> Upload:
    _require_version(request)
    return await core.uploading.get(reading.upload_id(upload_id), user_id, PROTOCOL)


async def _offset(core: App, upload: Upload) -> int:
    return upload.size if upload.finished else sum(part.size for part in await core.uploading.parts(upload))


def _headers(upload: Upload, offset: int) -> dict[str, str]:
    expires = formatdate(upload.expires_at, usegmt=True)
    return HEADER | {"Upload-Offset": str(offset), "Upload-Expires": expires, "Cache-Control": "no-store"}


@route(
    ROOT,
    http_method=["OPTIONS"],
    tags=TAGS,
    status_code=204,
    summary="What tus can do here",
    responses={204: openapi.nothing("Told in the headers")},
    operation_id="tus_options",
)
async def options(core: Core) -> Response[None]:
    """Versions, extensions and limits, in headers."""
    told = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(core.uploading.rules.max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }
    return Response(None, status_code=204, headers=HEADER | told)


# --- begin


@post(
    ROOT,
    tags=TAGS,
    status_code=201,
    summary="Begin a tus upload",
    exception_handlers=REFUSALS,
    operation_class=openapi.operation(headers=LENGTHS),
    responses={
        201: openapi.nothing("Begun; `Location` says where"),
        **openapi.problems(400, 403, 409, 412, 413, 415, 422, 503, 507),
    },
)
async def create(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Begin an upload; its first bytes may come along."""
    _require_version(request)
    size = _number(request, "upload-length")
    metadata = request.headers.get("upload-metadata", "")
    names = _metadata(metadata)
    filename = names.get("filename") or names.get("name") or "upload"
    with_data = request.headers.get("content-type", "").partition(";")[0].strip() == CONTENT_TYPE

    async def make() -> Response[bytes]:
        upload = await core.uploading.begin(
            user_id, PROTOCOL, filename, size, metadata=metadata or None, named="Upload-Length"
        )
        offset = await _take(core, request, upload, 0) if with_data else 0
        if offset == upload.size:
            await core.uploading.finish(upload)
        headers = _headers(upload, offset) | {"Location": f"{ROOT}/{upload.id}"}
        return Response(b"", status_code=201, headers=headers, media_type=MediaType.TEXT)

    return await once(core, request, user_id, idempotency_key, [size, metadata], make)


def _number(request: AnyRequest, name: str) -> int:
    text, shown = request.headers.get(name, ""), name.title()
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        problem = Problem(shown, f"must be a number of bytes, not {text!r}" if text else "is missing")
        raise InvalidInput(str(problem), problems=[problem])
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """Key to value of `Upload-Metadata`: pairs apart by commas, each a key and its value in base64."""
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            problem = Problem("Upload-Metadata", f"the value of {key} is not base64 of UTF-8")
            raise InvalidInput(str(problem), problems=[problem]) from error
    return found


# --- go on


@route(
    f"{ROOT}/{{upload_id:str}}",
    http_method=["HEAD"],
    tags=TAGS,
    summary="How far a tus upload is",
    opt=TRANSFER,
    exception_handlers=REFUSALS,
    responses={200: openapi.nothing("Told in the headers"), **openapi.problems(404, 412, 415, 422, 503)},
    operation_id="tus_head",
)
async def head(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> Response[bytes]:
    """`Upload-Offset` says from where to go on."""
    upload = await _upload(core, request, upload_id, user_id)
    offset = await _offset(core, upload)
    if offset == upload.size:
        await core.uploading.finish(upload)  # a client that is told so sends nothing more that could do it
    told = _headers(upload, offset) | {"Upload-Length": str(upload.size)}
    return Response(b"", headers=told | ({"Upload-Metadata": upload.metadata} if upload.metadata else {}))


@patch(
    f"{ROOT}/{{upload_id:str}}",
    tags=TAGS,
    status_code=204,
    summary="Go on with a tus upload",
    opt=TRANSFER,
    exception_handlers=REFUSALS,
    operation_class=openapi.operation(
        headers=PATCHED, body={CONTENT_TYPE: {"type": "string", "format": "binary", "description": "The bytes."}}
    ),
    responses={
        204: openapi.nothing("Stored; the last bytes make a file of it, at `Content-Location`"),
        **openapi.problems(400, 403, 404, 409, 412, 413, 415, 422, 460, 503, 507),
    },
)
async def go_on(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> Response[None]:
    """Send bytes from an offset on. What has arrived when the connection breaks is kept."""
    upload = await _upload(core, request, upload_id, user_id)
    if request.headers.get("content-type", "").partition(";")[0].strip() != CONTENT_TYPE:
        problem = Problem("Content-Type", f"must be {CONTENT_TYPE}", "unsupported_content_type")
        raise HttpError(415, "unsupported_content_type", str(problem), problems=[problem])
    asked, offset = _number(request, "upload-offset"), await _offset(core, upload)
    if asked != offset:
        message = f"the upload is at {offset}, not at {asked}"
        raise Conflict(f"Upload-Offset: {message}.", problems=[Problem("Upload-Offset", message, "wrong_offset")])
    offset = await _take(core, request, upload, offset)
    headers = _headers(upload, offset)
    if offset == upload.size:
        asset = await core.uploading.finish(upload)
        headers["Content-Location"] = f"/api/v1/files/{asset.id}"
    return Response(None, status_code=204, headers=headers)


class _Taking:
    """Bytes of one request, on their way into parts."""

    def __init__(self, core: App, upload: Upload, offset: int, *, whole: bool) -> None:
        self.offset = offset
        self._begin = offset
        """Of the part in hand."""
        self._unsaid = 0
        """Bytes that came and are not acknowledged."""
        self._core = core
        self._upload = upload
        self._whole = whole
        """All of it is one part, since it is judged as one."""
        self._writer: PartWriter | None = None
        self._sink: Sink | None = None

    async def add(self, data: bytes) -> None:
        if self._sink is None:
            self._writer = self._core.uploading.writer(self._upload, growing=not self._whole)
            sink = Sink(self._writer)
            await sink.open()
            self._sink = sink
        await self._sink.add(data)
        self._unsaid += len(data)
        if self._unsaid >= PART and not self._whole:
            await self.keep()

    async def keep(self, *, last: bool = False) -> None:
        """Acknowledge what came since the last time; a part that can grow goes on."""
        sink, writer = self._sink, self._writer
        if sink is None or writer is None:
            return
        if writer.grows:
            await sink.flush()
            await threaded(writer.sync)
        if last or not writer.grows:
            self._sink = None
            await sink.close()
        await self._core.uploading.append(self._upload, writer, self._begin)
        if self._sink is None:
            self._begin += sink.size
        self.offset += self._unsaid
        self._unsaid = 0

    async def abandon(self) -> None:
        """Forget it."""
        sink, self._sink = self._sink, None
        if sink is not None and self._writer is not None:
            await sink.abandon()
            await self._core.uploading.refuse(self._writer)


async def _take(core: App, request: AnyRequest, upload: Upload, offset: int) -> int:
    """Store a request's body from an offset on. Returns the new offset."""
    checksum = _Checksum(request.headers.get("upload-checksum"))
    taking = _Taking(core, upload, offset, whole=bool(checksum))
    try:
        try:
            async for data in _limited(request, upload.size - offset):
                checksum.add(data)
                await taking.add(data)
        except ClientGone:
            if not checksum:
                await taking.keep(last=True)
            raise
        checksum.check()
        await taking.keep(last=True)
    finally:
        await taking.abandon()
    return taking.offset


async def _limited(request: AnyRequest, left: int) -> AsyncIterator[bytes]:
    """The body, which must not be longer than what is left of the file."""
    async for data in chunks(request):
        left -= len(data)
        if left < 0:
            message = f"is {-left} bytes longer than the rest of the file"
            raise TooLarge(f"The body {message}.", problems=[Problem("body", message, "too_large")])
        yield data


class _Checksum:
    """What `Upload-Checksum` says, and what came; false where nothing was said."""

    def __init__(self, header: str | None) -> None:
        self._said: bytes | None = None
        if header is None:
            return
        name, _, digest = header.strip().partition(" ")
        try:
            self._said = base64.b64decode(digest, validate=True)
        except binascii.Error:
            self._said = b""
        if name not in ALGORITHMS or not self._said:
            problem = Problem("Upload-Checksum", f"must be one of {', '.join(ALGORITHMS)} and a digest in base64")
            raise InvalidInput(str(problem), problems=[problem])
        self._hash = hashlib.new(name, usedforsecurity=False)

    def __bool__(self) -> bool:
        return self._said is not None

    def add(self, data: bytes) -> None:
        if self._said is not None:
            self._hash.update(data)

    def check(self) -> None:
        if self._said is not None and self._hash.digest() != self._said:
            problem = Problem("Upload-Checksum", "is not that of the body; it was thrown away", "checksum_mismatch")
            raise HttpError(460, "checksum_mismatch", str(problem), problems=[problem])


# --- end


@get(
    f"{ROOT}/{{upload_id:str}}",
    tags=TAGS,
    summary="A tus upload",
    responses={200: openapi.answer(TusView, STANDING, "How it stands"), **openapi.problems(404, 409, 415, 422, 503)},
)
async def get_upload(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> TusView:
    """How far it is, and what it became. The file has the upload's id."""
    upload = await core.uploading.get(reading.upload_id(upload_id), user_id, PROTOCOL)
    offset = await _offset(core, upload)
    # All is there and no file yet: the daemon was ended in between, and goes on now.
    asset = await core.uploading.finish(upload) if offset == upload.size else None
    shown = view(core, request, asset) if asset else None
    expires = iso(upload.expires_at)
    return TusView(upload.id, upload.filename, upload.size, offset, asset is not None, shown, expires)


@delete(
    f"{ROOT}/{{upload_id:str}}",
    tags=TAGS,
    summary="Drop a tus upload",
    exception_handlers=REFUSALS,
    responses=openapi.problems(403, 404, 412, 503),
)
async def drop(core: Core, request: AnyRequest, user_id: User, upload_id: FromPath[str]) -> Response[None]:
    """Forget an upload and its bytes; of a complete one the file stays."""
    await core.uploading.drop(await _upload(core, request, upload_id, user_id))
    return Response(None, status_code=204, headers=HEADER)


handlers = (options, create, head, go_on, get_upload, drop)
