"""A writer that knows what went through it."""

from __future__ import annotations

import hashlib
from types import TracebackType

from vtid.storage.base import Writer


class HashingWriter:
    """Passes everything on, and hashes it on the way.

    Args:
        inner: stores it.
        hash_: goes on from here, where other bytes went before.
    """

    def __init__(self, inner: Writer, hash_: hashlib._Hash | None = None) -> None:
        self._inner = inner
        self.hash = hash_ or hashlib.sha256()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._inner.size

    @property
    def sha256(self) -> str:
        """Of what was written so far, in hexadecimal."""
        return self.hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Append."""
        self.hash.update(data)
        self._inner.write(data)

    def __enter__(self) -> HashingWriter:
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)
