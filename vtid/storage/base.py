"""The storage protocol. Keys are relative paths with `/`: `users/local/jobs/ID/result/clip.mp4`.

What is stored under a key appears whole or not at all, and is never changed afterwards. The methods block; asynchronous
code calls them in threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from msgspec import Struct

from vtid.errors import StorageError

CHUNK = 1024 * 1024
_PART = re.compile(r"^[^/\x00-\x1f\x7f\\]{1,255}$")


class Stat(Struct, frozen=True):
    """What is known of a stored file."""

    size: int
    modified_at: float
    etag: str
    """Changes when the content under a key does; quoted as HTTP wants it."""


class Writer(Protocol):
    """A file being stored. It appears under its key when the block ends well, and never when it does not."""

    size: int

    def write(self, data: bytes) -> None:
        """Append. Raises `DiskFull`."""

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Storage(Protocol):
    """Keeps files."""

    def writer(self, key: str) -> Writer:
        """Store a stream of unknown length."""

    def put(self, key: str, path: Path, *, move: bool = False) -> int:
        """Store a local file; with `move` the original may be used up. Returns its size in bytes."""

    def fetch(self, key: str, target: Path, *, link: bool = False) -> None:
        """Make a local file of it. Raises `NotFound`.

        Args:
            key: of the file.
            target: does not exist yet.
            link: at the least cost there is, for readers that can be trusted: whoever writes to the target then may
                change what is stored.
        """

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to and without `end`, in pieces. Raises `NotFound`."""

    def stat(self, key: str) -> Stat:
        """Size and time. Raises `NotFound`."""

    def copy(self, source: str, target: str) -> None:
        """Store the same content under a second key."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix, which ends at a `/`."""

    def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""

    def delete_prefix(self, prefix: str) -> int:
        """Remove every key under a prefix. Returns how many."""

    def signed_url(self, key: str, *, ttl_s: float, filename: str | None = None) -> str:
        """A URL that serves the file to whoever has it, with HTTP Range, until it expires."""

    def begin_multipart(self, key: str) -> str:
        """Begin to store a file in parts that may come in any order. Returns the upload's id."""

    def put_part(self, upload_id: str, number: int, data: Iterator[bytes]) -> int:
        """Store part `number`, from 1; the same number again replaces it. Returns its size."""

    def parts(self, upload_id: str) -> dict[int, int]:
        """Number to size of the parts that are there. Raises `NotFound`."""

    def complete_multipart(self, upload_id: str) -> int:
        """Put the parts together under the key. Returns the size."""

    def abort_multipart(self, upload_id: str) -> None:
        """Forget the parts."""

    def check(self) -> None:
        """Raise `StorageError` unless files can be stored and read back."""


def check_key(key: str) -> str:
    """The key itself, or a `StorageError` where it could leave the storage or upset a file system."""
    parts = key.split("/")
    if not all(_PART.match(p) and p not in (".", "..") for p in parts) or len(key) > 900:
        raise StorageError(f"{key!r} cannot be a storage key.")
    return key


def safe_filename(name: str, default: str = "file") -> str:
    """A person's file name made fit for a key: no folders, no control characters, not too long, its ending kept."""
    base = re.sub(r"[\x00-\x1f\x7f\\/]+", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
    stem, dot, suffix = base.rpartition(".")
    if not dot or len(suffix) > 16:
        stem, suffix = base, ""
    room = 180 - len(suffix.encode())
    stem = stem.encode()[:room].decode(errors="ignore")
    return f"{stem}{dot if suffix else ''}{suffix}" or default
