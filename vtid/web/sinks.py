"""Bytes on their way from a connection into the storage: gathered, then written by a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from vtid.errors import InvalidInput
from vtid.storage.hashing import HashingWriter

T = TypeVar("T")
PIECE = 1024 * 1024
"""Bytes that are gathered before a thread writes them."""


async def threaded(function: Callable[..., T], *args: Any) -> T:
    """Run in a thread and see its end, even when cancelled: nobody may close a file while it is being written."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Sink:
    """A file being received. In memory are two pieces, whatever its size: one arrives while the other is written.

    Args:
        writer: not opened yet.
    """

    def __init__(self, writer: HashingWriter) -> None:
        self.size = 0
        self._writer = writer
        self._gathered: list[bytes | bytearray] = []
        self._waiting = 0
        """Bytes gathered."""
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin."""
        await threaded(self._writer.__enter__)

    async def add(self, data: bytes | bytearray) -> None:
        """Append."""
        self.size += len(data)
        self._gathered.append(data)
        self._waiting += len(data)
        if self._waiting >= PIECE:
            await self._written()
            self._writing = asyncio.create_task(asyncio.to_thread(self._writer.write, self._piece()))

    def _piece(self) -> bytes:
        piece = b"".join(self._gathered)
        self._gathered, self._waiting = [], 0
        return piece

    async def _written(self) -> None:
        """The piece that is being written is; or raise what kept it from it."""
        writing = self._writing
        if writing is not None:
            await asyncio.wait([writing])
            self._writing = None
            writing.result()

    async def flush(self) -> None:
        """Everything is written."""
        await self._written()
        if self._waiting:
            await threaded(self._writer.write, self._piece())

    async def close(self) -> str:
        """Publish it. Returns the SHA-256 of its content."""
        try:
            await self.flush()
        except BaseException:
            await self.abandon()
            raise
        await threaded(self._writer.__exit__, None, None, None)
        return self._writer.sha256

    async def abandon(self) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(Exception):  # what went wrong with it is told already, or of no interest any more
            await self._written()
        await threaded(self._writer.__exit__, InvalidInput, None, None)
