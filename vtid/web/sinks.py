"""Bytes on their way from a connection into the storage: gathered, then written by a thread."""

from __future__ import annotations

import asyncio
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
    """A file being received. In memory is one piece, whatever its size.

    Args:
        writer: not opened yet.
    """

    def __init__(self, writer: HashingWriter) -> None:
        self.size = 0
        self._writer = writer
        self._buffer = bytearray()

    async def open(self) -> None:
        """Begin."""
        await threaded(self._writer.__enter__)

    async def add(self, data: bytes | bytearray) -> None:
        """Append."""
        self.size += len(data)
        self._buffer += data
        if len(self._buffer) >= PIECE:
            await self._flush()

    async def _flush(self) -> None:
        if self._buffer:
            piece, self._buffer = bytes(self._buffer), bytearray()
            await threaded(self._writer.write, piece)

    async def close(self) -> str:
        """Publish it. Returns the SHA-256 of its content."""
        try:
            await self._flush()
        except BaseException:
            await self.abandon()
            raise
        await threaded(self._writer.__exit__, None, None, None)
        return self._writer.sha256

    async def abandon(self) -> None:
        """Leave nothing of it."""
        await threaded(self._writer.__exit__, InvalidInput, None, None)
