"""Uploads: multipart bodies go to storage as they arrive. What is in memory is one piece, whatever the file's size."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request
from msgspec import Struct, field
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from vtid.engine.intake import Draft
from vtid.errors import InvalidInput, Problem, TooLarge
from vtid.storage import Writer

PIECE = 1024 * 1024
"""Bytes that are gathered before a thread writes them."""
MAX_FIELD = 1024 * 1024
"""Bytes of a field that is not a file."""
SLACK = 64 * 1024
"""What the wrapping of a multipart body may add to its file."""


class Form(Struct):
    """What a multipart body held; its files are in the draft."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    digest: str = ""
    """SHA-256 over names and contents: the same for the same request, whatever its boundary."""


async def receive(request: Request[Any, Any, Any], draft: Draft, sources: dict[str, str], max_bytes: int) -> Form:
    """Read a multipart body: files into the draft, the rest into a form.

    Args:
        request: whose body was not touched yet.
        draft: takes the files.
        sources: name of a form field that is a file to the name of the source that it becomes.
        max_bytes: for all files together.

    Raises:
        TooLarge: said by Content-Length, or found out on the way.
        InvalidInput: not multipart, broken off, unknown or missing fields.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise InvalidInput(
            "Send the file as multipart/form-data.",
            problems=[Problem("Content-Type", f'"{kind}" is not multipart/form-data')],
        )
    length = int(request.headers.get("content-length") or -1)
    if length > max_bytes + SLACK:
        raise _too_large(max_bytes)
    reader = _Reader(draft, sources, max_bytes)
    try:
        with PushMultipartParser(options["boundary"], content_length=length) as parser:
            async for chunk in _stream(request):
                for event in parser.parse(chunk):
                    await reader.take(event)
    except MultipartError as error:
        raise InvalidInput(f"The multipart body is broken: {error}", problems=[Problem("body", str(error))]) from error
    finally:
        await reader.abandon()
    return reader.finish()


async def _stream(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _too_large(max_bytes: int) -> TooLarge:
    limit = max_bytes >> 20
    return TooLarge(
        f"The file is larger than {limit} MB.",
        problems=[Problem("file", f"at most {limit} MB", "too_large")],
        suggestion="Raise server.max_upload_mb, or process the file where it lies with `vtid run`.",
    )


class _Reader:
    """Takes the parser's events one by one."""

    def __init__(self, draft: Draft, sources: dict[str, str], max_bytes: int) -> None:
        self._draft = draft
        self._sources = sources
        self._max = max_bytes
        self._form = Form()
        self._hashes: dict[str, Any] = {}
        self._problems: list[Problem] = []
        self._name = ""
        self._text = bytearray()
        self._writer: Writer | None = None
        self._buffer = bytearray()
        self._received = 0

    async def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if event is None:
            await self._end()
        elif isinstance(event, MultipartSegment):
            self._name = event.name
            self._hashes[self._name] = hashlib.sha256()
            self._text.clear()
            if event.name in self._sources:
                filename = event.filename or ""
                if not filename:
                    self._problems.append(Problem(event.name, "must be a file with a name", "not_a_file"))
                    return
                self._hashes[self._name].update(filename.encode() + b"\0")
                self._writer = self._draft.writer(self._sources[event.name], filename)
                await asyncio.to_thread(self._writer.__enter__)
            elif event.filename:
                known = ", ".join(self._sources)
                self._problems.append(
                    Problem(event.name, f"no file of this name is taken; it takes: {known}", "unknown")
                )
        else:
            self._hashes[self._name].update(event)
            await self._data(event)

    async def _data(self, data: bytes | bytearray) -> None:
        if self._writer is None:
            if len(self._text) + len(data) > MAX_FIELD:
                raise InvalidInput(
                    f"{self._name} is too long.", problems=[Problem(self._name, f"at most {MAX_FIELD} bytes")]
                )
            self._text += data
            return
        self._received += len(data)
        if self._received > self._max:
            raise _too_large(self._max)
        self._buffer += data
        if len(self._buffer) >= PIECE:
            await self._flush()

    async def _flush(self) -> None:
        if self._writer and self._buffer:
            piece, self._buffer = bytes(self._buffer), bytearray()
            await asyncio.to_thread(self._writer.write, piece)

    async def _end(self) -> None:
        if self._writer is not None:
            await self._flush()
            writer, self._writer = self._writer, None
            await asyncio.to_thread(writer.__exit__, None, None, None)
            self._form.files.append(self._name)
        elif self._name not in self._sources:
            self._form.fields[self._name] = self._text.decode(errors="replace")

    async def abandon(self) -> None:
        """Throw away a file that was not received whole."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            await asyncio.to_thread(writer.__exit__, InvalidInput, None, None)

    def finish(self) -> Form:
        """The form, or every complaint about it."""
        if self._problems:
            raise InvalidInput(str(self._problems[0]), problems=self._problems)
        parts = sorted(f"{name}={h.hexdigest()}" for name, h in self._hashes.items())
        self._form.digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return self._form
