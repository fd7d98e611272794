"""Stored files, for whoever has a signed URL."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from vtid.web import openapi
from vtid.web.errors import HttpError
from vtid.web.given import Core
from vtid.web.ranges import serve
from vtid.web.reading import query
from vtid.web.schemas import FileQuery


@route(
    "/files/{key:path}",
    http_method=["GET", "HEAD"],
    tags=["files"],
    summary="A stored file",
    operation_class=openapi.operation(query=FileQuery, headers={"Range": "Such as `bytes=0-1023`."}),
    operation_id=lambda _handler, method, _path: f"{HttpMethod(method).value.lower()}_file",
    responses={**openapi.FILES, **openapi.problems(403, 404, 416)},
)
async def get_file(core: Core, request: Request[Any, Any, Any], key: FromPath[str]) -> Response[Any]:
    """The file, or the range of it that is asked for (206). Signed URLs come with jobs and expire."""
    proof, key = query(request, FileQuery), key.lstrip("/")
    if not core.links.verify(key, expires=proof.expires, signature=proof.signature, filename=proof.name):
        raise HttpError(
            403,
            "bad_link",
            "This link is not valid, or has expired.",
            suggestion="Ask for the job again; it comes with a new link.",
        )
    return await asyncio.to_thread(serve, request, core.storage, key, proof.name or None)


handlers = (get_file,)
