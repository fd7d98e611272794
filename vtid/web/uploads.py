"""Uploads: multipart bodies go to storage as they arrive. What is in memory is one piece, whatever the file's size."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from litestar import Request
from msgspec import Struct, field
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from vtid.domain.pipeline import SOURCE_NAME
from vtid.errors import InvalidInput, Problem, TooLarge
from vtid.storage.base import safe_filename
from vtid.storage.hashing import HashingWriter
from vtid.web.errors import HttpError
from vtid.web.reading import chunks
from vtid.web.sinks import Sink

Opener = Callable[[str, Mapping[str, str]], Awaitable[HashingWriter]]
"""Where a file of that name goes; it is told the fields that came before it."""
Prefixed = Mapping[str, Callable[[str], Opener]]
"""Where files go whose form field begins so, by the rest of its name."""
MAX_TEXT = 1024 * 1024
"""Bytes of all fields that are not files."""
MAX_PARTS = 64
SLACK = MAX_TEXT + 64 * 1024
"""What the fields and the wrapping may add to the files."""


class Form(Struct):
    """What a multipart body held; its files are where their openers put them."""

    fields: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    """With its parts; what the fields say is for the route to judge."""
    digest: str = ""
    """SHA-256 over names and contents: the same for the same content, whatever boundary and order."""


async def receive(
    request: Request[Any, Any, Any],
    openers: Mapping[str, Opener],
    max_bytes: int,
    *,
    most: int = 1,
    often: Mapping[str, int] = MappingProxyType({}),
    prefixed: Prefixed = MappingProxyType({}),
    too_large: Callable[[int], Exception] | None = None,
) -> Form:
    """Read a multipart body: files into the storage, the rest into a form.

    Args:
        request: whose body was not touched yet.
        openers: name of a form field that is a file to where it goes.
        max_bytes: for all files together; for each of them where a field may come more than once.
        most: how often a field that is a file may come.
        often: the same of single fields, by name; the limit on all files together is then twice that of one.
        prefixed: files with names of the sender's choice.
        too_large: says that the limit is passed; it is given the limit.

    Raises:
        TooLarge: said by Content-Length, or found out on the way.
        HttpError: 415, not multipart.
        InvalidInput: broken off in form, if not in transport.
        ClientGone: broken off.
    """
    boundary = _boundary(request)
    length = int(request.headers.get("content-length") or -1)
    too_large = too_large or _too_large
    limit = max_bytes * (2 if often else most) + SLACK
    if length > limit:
        raise too_large(max_bytes)
    counts = dict.fromkeys(openers, most) | dict(often)
    reader, total = _Reader(openers, prefixed, max_bytes, counts, too_large), 0
    try:
        with PushMultipartParser(boundary, content_length=length, max_segment_count=MAX_PARTS) as parser:
            async for chunk in chunks(request):
                total += len(chunk)
                if total > limit:  # also where nothing of it was a file
                    raise too_large(max_bytes)
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


class _Reader:
    """Takes the parser's events one by one."""

    def __init__(
        self,
        openers: Mapping[str, Opener],
        prefixed: Prefixed,
        max_bytes: int,
        most: Mapping[str, int],
        too_large: Callable[[int], Exception],
    ) -> None:
        self._openers = openers
        self._prefixed = prefixed
        self._max = max_bytes
        self._most = most
        self._too_large = too_large
        self._form = Form()
        self._parts: list[tuple[str, str, str]] = []
        """Name, file name and content (of a file: its digest) of each part, for the digest of all."""
        self._name = self._filename = ""
        self._came: Counter[str] = Counter()
        self._file: Sink | None = None
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
        elif opener := self._opener(self._name):
            self._filename = safe_filename(part.filename or "", "upload")
            if max(self._most.values()) > 1:
                self._file_size = 0
            file = Sink(await opener(self._filename, self._form.fields))
            await file.open()
            self._file = file

    def _complaint(self, part: MultipartSegment) -> Problem | None:
        """What is wrong with a part before its content is known."""
        name = self._name
        self._came[name] += 1
        most = self._most.get(name, 1)
        if self._came[name] > most:
            often = "came twice" if most == 1 else f"came more than {most} times"
            return Problem(name, often, "duplicate")
        if self._opener(name):
            return None if part.filename else Problem(name, "must be a file, with a file name", "not_a_file")
        if part.filename is not None:
            takes = ", ".join([*self._openers, *(f"{prefix}NAME" for prefix in self._prefixed)])
            return Problem(name, f"no file of this name is taken; files that are: {takes}", "unknown")
        return None

    def _opener(self, name: str) -> Opener | None:
        """Where a file of that form field goes; None where none of it is taken."""
        if name in self._openers:
            return self._openers[name]
        for prefix, opener in self._prefixed.items():
            if name.startswith(prefix) and SOURCE_NAME.match(rest := name.removeprefix(prefix)):
                return opener(rest)
        return None

    async def _file_data(self, data: bytes | bytearray) -> None:
        assert self._file is not None
        self._file_size += len(data)
        if self._file_size > self._max:
            raise self._too_large(self._max)
        await self._file.add(data)

    def _text_data(self, data: bytes | bytearray) -> None:
        self._text_size += len(data)
        if self._text_size > MAX_TEXT:
            limit = f"at most {MAX_TEXT >> 10} KB for all fields that are not files"
            raise InvalidInput(f"{self._name}: {limit}", problems=[Problem(self._name, limit, "too_large")])
        self._text += data

    async def _end(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            digest = await file.close()
            self._form.files.add(self._name)
            self._parts.append((self._name, self._filename, digest))
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
