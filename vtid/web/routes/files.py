"""Stored files, for whoever has a signed URL."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, route

from vtid.app import App
from vtid.web.errors import HttpError
from vtid.web.ranges import serve


@route("/files/{key:path}", http_method=["GET", "HEAD"], tags=["files"], summary="A stored file")
async def get_file(
    core: App, request: Request[Any, Any, Any], key: str, expires: str = "", signature: str = "", name: str = ""
) -> Response[Any]:
    """The file, or the range of it that is asked for. Signed URLs come with jobs and expire."""
    key = key.lstrip("/")
    if not core.storage.verify_url(key, expires=expires, signature=signature, filename=name):
        raise HttpError(
            403, "bad_link", "This link is not valid, or has expired; ask for the job again to get a new one."
        )
    return await asyncio.to_thread(serve, request, core.storage, key, name or None)


handlers = (get_file,)
