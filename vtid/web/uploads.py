"""Uploads: multipart bodies go to storage as they arrive. What is in memory is one piece, whatever the file's size."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from litestar import Request
from msgspec import Struct, field
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from vtid.engine.intake import Draft
from vtid.errors import InvalidInput, Problem, TooLarge
from vtid.storage import Writer
from vtid.storage.base import safe_filename
from vtid.web.errors import HttpError
from vtid.web.reading import chunks

T = TypeVar("T")
PIECE = 1024 * 1024
"""Bytes that are gathered before a thread writes them."""
MAX_TEXT = 1024 * 1024
"""Bytes of all fields that are not files."""
MAX_PARTS = 64
SLACK = MAX_TEXT + 64 * 1024
"""What the fields and the wrapping may add to the files."""


class Form(Struct):
    """What a multipart body held; its files are in the draft."""

    fields: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    """With its parts; what the fields say is for the route to judge."""
    digest: str = ""
    """SHA-256 over names and contents: the same for the same content, whatever boundary and order."""


async def receive(request: Request[Any, Any, Any], draft: Draft, sources: Mapping[str, str], max_bytes: int) -> Form:
    """Read a multipart body: files into the draft, the rest into a form.

    Args:
        request: whose body was not touched yet.
        draft: takes the files.
        sources: name of a form field that is a file to the name of the source that it becomes.
        max_bytes: for all files together.

    Raises:
        TooLarge: said by Content-Length, or found out on the way.
        HttpError: 415, not multipart.
        InvalidInput: broken off in form, if not in transport.
        ClientGone: broken off.
    """
    boundary = _boundary(request)
    length = int(request.headers.get("content-length") or -1)
    if length > max_bytes + SLACK:
        raise _too_large(max_bytes)
    reader, total = _Reader(draft, sources, max_bytes), 0
    try:
        with PushMultipartParser(boundary, content_length=length, max_segment_count=MAX_PARTS) as parser:
            async for chunk in chunks(request):
                total += len(chunk)
                if total > max_bytes + SLACK:  # also where nothing of it was a file
                    raise _too_large(max_bytes)
                for event in parser.parse(chunk):
                    await reader.take(event)
    except MultipartError as error:
        raise InvalidInput(f"The multipart body is broken: {error}", problems=[Problem("body", str(error))]) from error
    finally:
        await reader.abandon()
    return reader.form()


def _boundary(request: Request[Any, Any, Any]) -> str:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        message = f"must be multipart/form-data, not {kind or 'missing'}"
        problem = Problem("Content-Type", message, "unsupported_content_type")
        raise HttpError(415, "unsupported_content_type", f"Content-Type {message}.", problems=[problem])
    if not options.get("boundary"):
        raise InvalidInput("The multipart body has no boundary.", problems=[Problem("Content-Type", "has no boundary")])
    return str(options["boundary"])


def _too_large(max_bytes: int) -> TooLarge:
    limit = max_bytes >> 20
    return TooLarge(
        f"The file is larger than {limit} MB.",
        problems=[Problem("file", f"at most {limit} MB", "too_large")],
        suggestion="Raise server.max_upload_mb, or process the file where it lies with `vtid run`.",
    )


async def _threaded(function: Callable[..., T], *args: Any) -> T:
    """Run in a thread and see its end, even when cancelled: nobody may close a file while it is being written."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class _FilePart:
    """A file on its way into the draft."""

    def __init__(self, name: str, filename: str, writer: Writer) -> None:
        self.name = name
        self.filename = filename
        self._writer = writer
        self._hash = hashlib.sha256()
        self._buffer = bytearray()

    async def open(self) -> None:
        await _threaded(self._writer.__enter__)

    async def add(self, data: bytes | bytearray) -> None:
        self._buffer += data
        if len(self._buffer) >= PIECE:
            await self._flush()

    async def _flush(self) -> None:
        piece, self._buffer = bytes(self._buffer), bytearray()
        await _threaded(self._store, piece)

    def _store(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._writer.write(piece)

    async def close(self) -> str:
        """Publish it. Returns the digest of its content."""
        await self._flush()
        await _threaded(self._writer.__exit__, None, None, None)
        return self._hash.hexdigest()

    async def abandon(self) -> None:
        await _threaded(self._writer.__exit__, InvalidInput, None, None)


class _Reader:
    """Takes the parser's events one by one."""

    def __init__(self, draft: Draft, sources: Mapping[str, str], max_bytes: int) -> None:
        self._draft = draft
        self._sources = sources
        self._max = max_bytes
        self._form = Form()
        self._parts: list[tuple[str, str, str]] = []
        """Name, file name and content (of a file: its digest) of each part, for the digest of all."""
        self._name = ""
        self._file: _FilePart | None = None
        self._ignored = False
        self._text = bytearray()
        self._text_size = self._file_size = 0

    async def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """A part begins, goes on, or (None) ends."""
        if event is None:
            await self._end()
        elif isinstance(event, MultipartSegment):
            await self._begin(event)
        elif self._file is not None:
            await self._file_data(event)
        elif not self._ignored:
            self._text_data(event)

    async def _begin(self, part: MultipartSegment) -> None:
        self._name, self._ignored, self._text = part.name or "", False, bytearray()
        complaint = self._complaint(part)
        if complaint:
            self._ignored = True
            self._form.problems.append(complaint)
        elif part.name in self._sources:
            filename = safe_filename(part.filename or "", "upload")
            file = _FilePart(self._name, filename, self._draft.writer(self._sources[self._name], filename))
            await file.open()
            self._file = file

    def _complaint(self, part: MultipartSegment) -> Problem | None:
        """What is wrong with a part before its content is known."""
        name = self._name
        if name in self._form.files or name in self._form.fields:
            return Problem(name, "came twice", "duplicate")
        if name in self._sources:
            return None if part.filename else Problem(name, "must be a file, with a file name", "not_a_file")
        if part.filename is not None:
            takes = ", ".join(self._sources)
            return Problem(name, f"no file of this name is taken; files that are: {takes}", "unknown")
        return None

    async def _file_data(self, data: bytes | bytearray) -> None:
        assert self._file is not None
        self._file_size += len(data)
        if self._file_size > self._max:
            raise _too_large(self._max)
        await self._file.add(data)

    def _text_data(self, data: bytes | bytearray) -> None:
        self._text_size += len(data)
        if self._text_size > MAX_TEXT:
            limit = f"at most {MAX_TEXT >> 10} KB for all fields that are not files"
            raise InvalidInput(f"{self._name}: {limit}", problems=[Problem(self._name, limit, "too_large")])
        self._text += data

    async def _end(self) -> None:
        if self._file is not None:
            digest = await self._file.close()
            self._form.files.add(self._name)
            self._parts.append((self._name, self._file.filename, digest))
            self._file = None
        elif not self._ignored:
            text = self._text.decode(errors="replace")
            self._form.fields[self._name] = text
            self._parts.append((self._name, "", text))

    async def abandon(self) -> None:
        """Throw away a file that was not received whole."""
        file, self._file = self._file, None
        if file is not None:
            await file.abandon()

    def form(self) -> Form:
        """All of it."""
        self._form.digest = hashlib.sha256(msgspec.json.encode(sorted(self._parts))).hexdigest()
        return self._form
