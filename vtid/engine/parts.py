"""A part of an upload on its way into the storage, and the hash that goes on from part to part."""

from __future__ import annotations

import hashlib
from types import TracebackType
from typing import Any

from msgspec import Struct

from vtid.db import Upload, UploadPart
from vtid.engine.layout import is_placed, part_key, placed_key
from vtid.storage import Storage
from vtid.storage.hashing import HashingWriter


class Running(Struct, frozen=True):
    """The hash of an upload's beginning, as it was sent through this process, in order."""

    position: int
    hash: Any
    keys: tuple[str, ...]
    """Of the parts that it went over: it holds for them alone."""


class PartWriter(HashingWriter):
    """A part on its way into the storage; it counts once it is noted.

    Where the storage can, it may be noted again and again as it grows, so that a long part loses little in a crash, or
    it is written to its place in the whole: either way a file is not copied once more when all of it is there.
    """

    def __init__(
        self, storage: Storage, upload: Upload, before: Running | None, *, growing: bool, place: int | None
    ) -> None:
        self.key = part_key(upload.id)
        self.before = before or Running(0, hashlib.sha256(), ())
        grown = None
        if place is not None:
            grown = storage.growing(placed_key(upload.id), place)
            self.key = placed_key(upload.id) if grown else self.key
        elif growing:
            grown = storage.growing(self.key)
        self.grows = grown is not None
        self.noted = False
        self._storage = storage
        self._grown = grown
        # Most parts are joined and gone before the disk would see them; what a power cut takes is sent again.
        super().__init__(storage.writer(self.key, durable=False), self.before.hash.copy())

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._grown.size if self._grown else super().size

    def at(self, position: int) -> UploadPart:
        """What was written, at its place in the file."""
        return UploadPart(position, self.size, self.key)

    def write(self, data: bytes) -> None:
        """Append."""
        if self._grown:
            self.hash.update(data)
            self._grown.write(data)
        else:
            super().write(data)

    def sync(self) -> None:
        """Have what was written so far survive; of a part that grows."""
        assert self._grown is not None
        self._grown.sync()

    def release(self) -> None:
        """Nothing of it counts."""
        if self._grown:
            self._grown.release()
        else:
            self._storage.delete(self.key)

    def __enter__(self) -> PartWriter:
        """Begin."""
        if not self._grown:
            super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish it; of one that grows, what was noted stays either way."""
        if self._grown:
            if kind is None and is_placed(self.key):  # of a hole in the whole, unlike of a lost file, nothing is seen
                self._grown.sync()
            self._grown.close()
        else:
            super().__exit__(kind, error, trace)
