"""Callbacks: where services that steps wait for say that they are done."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, Response, post
from litestar.params import FromPath

from vtid.errors import Forged, TooLarge
from vtid.web import openapi, reading
from vtid.web.given import Core

log = structlog.get_logger("vtid.web")
TAGS = ["callbacks"]
MOST = 1 << 20
"""Bytes of a callback."""
ACKNOWLEDGED = openapi.answer(str, "ok", "Taken; a repeat and one that comes too late are too")


@post(
    "/callbacks/{plugin:str}/{token:str}",
    tags=TAGS,
    status_code=200,
    summary="Wake a step",
    responses={200: ACKNOWLEDGED, **openapi.problems(404, 413, 503)},
)
async def call_back(
    core: Core, request: Request[Any, Any, Any], plugin: FromPath[str], token: FromPath[str]
) -> Response[bytes]:
    """A service says that something happened to the work of a step, under the URL that the step gave it.

    The plugin checks the signature. What the call says is not believed: the step wakes and asks the service itself.
    """
    body = bytearray()
    async for chunk in reading.chunks(request):
        body += chunk
        if len(body) > MOST:
            raise TooLarge(f"A callback may have {MOST >> 10} KB.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        callback = await core.callbacks.take(plugin, token, headers, bytes(body))
    except Forged as error:
        log.warning("a callback was refused", plugin=plugin, reason=error.message)
        raise
    return Response(callback.reply, status_code=200, media_type="text/plain")


handlers = (call_back,)
