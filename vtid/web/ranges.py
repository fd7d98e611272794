"""Serving stored files: HTTP ranges, conditions and streaming (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.response import Stream

from vtid.storage import Stat, Storage
from vtid.storage.base import presented
from vtid.web.errors import HttpError

_RANGE = re.compile(r"^bytes=([0-9]{0,18})-([0-9]{0,18})$", re.IGNORECASE)
"""Longer numbers are nonsense, and Python refuses to read the longest."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The range that a `Range` header asks for.

    Args:
        header: as sent. Several ranges at once, other units and nonsense are ignored, as the RFC allows.
        size: of the file, bytes.

    Returns:
        Start and end, the end exclusive; None: the whole file.

    Raises:
        HttpError: 416, nothing of the range lies in the file.
    """
    found = _RANGE.match(header.strip()) if header else None
    if not found or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, end = max(0, size - int(found[2])), size
        wrong = int(found[2]) == 0
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
        wrong = start >= size
    if wrong or size == 0:
        raise HttpError(
            416, "range_not_satisfiable", f"The file has {size} bytes.", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end


def serve(request: Request[Any, Any, Any], storage: Storage, key: str, filename: str | None) -> Response[Any]:
    """A stored file, or the part of it that was asked for.

    Args:
        request: GET or HEAD.
        storage: where the file lies.
        key: of the file.
        filename: under which a browser saves it.
    """
    stat = storage.stat(key)
    media_type, shown = presented(filename or key)
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": stat.etag,
        "Last-Modified": formatdate(stat.modified_at, usegmt=True),
        "Cache-Control": "private, max-age=3600",
        # Whatever was uploaded is never run as a page of ours.
        "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'; img-src 'self'",
    }
    if filename or shown == "attachment":
        headers["Content-Disposition"] = _disposition(shown, filename or key.rpartition("/")[2])
    if _unchanged(request, stat):
        return Response(b"", status_code=304, headers=headers)
    wanted = parse_range(request.headers.get("range") if _same(request, stat) else None, stat.size)
    start, end = wanted or (0, stat.size)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{stat.size}"
    headers["Content-Length"] = str(end - start)
    status = 206 if wanted else 200
    if request.method == "HEAD":
        return Response(b"", status_code=status, headers=headers, media_type=media_type)
    pieces = storage.read(key, start, end)
    return Stream(_threaded(pieces), status_code=status, headers=headers, media_type=media_type)


def _disposition(shown: str, filename: str) -> str:
    """The name in ASCII for old clients, without what could end a header, then as RFC 5987 has it."""
    plain = re.sub(r"[^ !#-\[\]-~]", "_", filename)
    return f"{shown}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _unchanged(request: Request[Any, Any, Any], stat: Stat) -> bool:
    """If-None-Match, else If-Modified-Since."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or stat.etag in (t.strip().removeprefix("W/") for t in tags.split(","))
    return _not_later(stat, request.headers.get("if-modified-since"))


def _same(request: Request[Any, Any, Any], stat: Stat) -> bool:
    """Whether If-Range lets a range be served."""
    condition = request.headers.get("if-range")
    if condition is None:
        return True
    # A date must be the very one that was given out: a range of another version would spoil what the client has.
    return condition in (stat.etag, formatdate(stat.modified_at, usegmt=True))


def _not_later(stat: Stat, date: str | None) -> bool:
    if date is None:
        return False
    try:
        return int(stat.modified_at) <= parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return False


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read in threads: a slow disk never holds up the other requests."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
