"""A request that is sent twice is done once: `Idempotency-Key` on whatever makes something."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.params import HeaderParameter
from msgspec import Struct

from vtid.app import App
from vtid.db import Kept
from vtid.errors import Conflict, InvalidInput, VtidError
from vtid.web.errors import HttpError

log = structlog.get_logger("vtid.web")
AnyRequest = Request[Any, Any, Any]
REPLAYED = {"Idempotency-Replayed": "true"}
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A repeat with the same key gives the first answer, with `Idempotency-Replayed: true`.",
    ),
]


class _Answer(Struct, frozen=True):
    """A response, as it is kept."""

    status: int
    headers: dict[str, str]
    body: bytes


def digest(request: AnyRequest, content: str) -> str:
    """What makes a repeat a repeat: the same content to the same route."""
    return hashlib.sha256(f"{request.url.path.rstrip('/')}\n{content}".encode()).hexdigest()


@asynccontextmanager
async def reserved(core: App, user_id: str, key: str | None, mark: str) -> AsyncIterator[Kept | None]:
    """Hold a key while something is made; yields what the first request with it made.

    Args:
        core: whose database remembers.
        user_id: keys of two users have nothing to do with each other.
        key: as sent; None holds nothing.
        mark: `digest` of the request.

    Raises:
        HttpError: 422, the key was used for another request.
        Conflict: the first one is still on its way.
    """
    if key is None:
        yield None
        return
    try:
        first = await core.repeats.reserve(user_id, key, mark)
    except InvalidInput as error:
        raise HttpError(422, "idempotency_key_reused", error.message) from error
    try:
        yield first
    except BaseException:
        await core.repeats.forget(user_id, key)
        raise


async def once(
    core: App,
    request: AnyRequest,
    user_id: str,
    key: str | None,
    content: Any,
    make: Callable[[], Awaitable[Response[Any]]],
) -> Response[Any]:
    """Answer a request that makes something other than a job; a repeat gets the first answer, word for word.

    Args:
        core: whose database remembers.
        request: to be answered.
        user_id: whose it is.
        key: its `Idempotency-Key`.
        content: its body, as it was read.
        make: does it. What it answers is kept sealed, since it may hold a secret that is told once.
    """
    mark = core.seal.mark(digest(request, msgspec.json.encode(content, order="deterministic").decode()))
    async with reserved(core, user_id, key, mark) as first:
        if first is not None:
            return _replayed(core, first)
        response = await make()
        if key is not None:
            headers = {name: str(value) for name, value in response.headers.items()}
            said: Any = response.content
            body = said if isinstance(said, bytes) else msgspec.json.encode(said)
            kept = _Answer(response.status_code or 200, headers, body)
            try:
                await core.repeats.keep(user_id, key, core.seal.close(msgspec.msgpack.encode(kept)))
            except VtidError as error:  # it is made: the key stays taken, so that a repeat does not make it again
                log.warning("an answer could not be kept for a repeat", reason=error.message)
    return response


def _replayed(core: App, first: Kept) -> Response[Any]:
    opened = core.seal.open(first.answer) if first.answer else None
    if opened is None:  # a job's key, sent to another route that takes the same body; or the secret was changed
        raise Conflict("The answer to the first request with this Idempotency-Key is not there any more.")
    kept = msgspec.msgpack.decode(opened, type=_Answer)
    headers = kept.headers | REPLAYED
    media_type = MediaType.JSON if kept.body else MediaType.TEXT
    return Response(kept.body, status_code=kept.status, headers=headers, media_type=media_type)
