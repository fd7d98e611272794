"""The storage protocol. Keys are relative paths with `/`: `users/local/jobs/ID/result/clip.mp4`.

What is stored under a key appears whole or not at all, and is never changed afterwards. The methods block; asynchronous
code calls them in threads.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, runtime_checkable

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

    @property
    def size(self) -> int:
        """Bytes so far."""
        ...

    def write(self, data: bytes) -> None:
        """Append. Raises `DiskFull`."""

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Growing(Protocol):
    """A file that is there from its first byte on, for what is noted elsewhere to count of it."""

    @property
    def size(self) -> int:
        """Bytes so far."""
        ...

    def write(self, data: bytes) -> None:
        """Append. Raises `DiskFull`."""

    def sync(self) -> None:
        """Have what was written survive."""

    def close(self) -> None:
        """Write no more."""

    def release(self) -> None:
        """Nothing of it counts, after `close`: a file of its own goes, a place in one may be given again."""


class Piece(Struct, frozen=True):
    """Bytes of a stored file."""

    key: str
    size: int
    start: int = 0


class Storage(Protocol):
    """Keeps files."""

    def writer(self, key: str, *, durable: bool = True) -> Writer:
        """Store a stream of unknown length.

        Args:
            key: of the file.
            durable: on the disk before it appears; without, a power cut may take the end of it, a kill nothing.
        """

    def growing(self, key: str, at: int | None = None) -> Growing | None:
        """Store a stream whose beginning may count before its end has come; None where that is not possible.

        Args:
            key: of the file.
            at: from which byte on, of a file that others fill elsewhere. Each place is given once, for ever: whoever
                finds one taken gets None, so that what counts there is not written over.
        """

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

    def join(self, pieces: Sequence[Piece], target: str) -> int:
        """Store pieces of files, one after the other, as one.

        Args:
            pieces: in order.
            target: key of the whole.

        Returns:
            Its size in bytes.

        Raises:
            NotFound: one is not there, or not as many bytes of it.
        """

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix, which ends at a `/`."""

    def folders(self, prefix: str) -> Iterator[str]:
        """The names directly under a prefix that have keys below them."""

    def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""

    def delete_prefix(self, prefix: str, keep: Collection[str] = ()) -> int:
        """Remove every key under a prefix but those to keep. Returns how many."""

    def signed_url(self, key: str, *, ttl_s: float, filename: str | None = None) -> str:
        """A URL that serves the file to whoever has it, with HTTP Range, until it expires.

        Args:
            key: of the file.
            ttl_s: for how long; at most a week.
            filename: under which a browser saves it.
        """

    def sweep(self, older_than_s: float) -> int:
        """Remove what writers that were killed left aside. Returns how many."""

    def check(self) -> None:
        """Raise `StorageError` unless files can be stored and read back."""


class DirectPart(Struct, frozen=True):
    """A part of a direct upload that the server has."""

    number: int
    size: int
    etag: str


@runtime_checkable
class DirectUploads(Protocol):
    """What a storage can do that clients send to themselves, past the daemon, in parts that may come in any order."""

    def begin_direct(self, key: str) -> str:
        """Begin to store a file in parts. Returns the upload's id."""

    def part_url(self, key: str, upload_id: str, number: int, ttl_s: float) -> str:
        """The URL to which part `number`, from 1, is PUT; the same number again replaces it."""

    def direct_parts(self, key: str, upload_id: str) -> Sequence[DirectPart]:
        """The parts that are there, by number. Raises `NotFound`."""

    def complete_direct(self, key: str, upload_id: str, parts: Sequence[DirectPart]) -> None:
        """Put the parts together under the key. Raises `NotFound`."""

    def abort_direct(self, key: str, upload_id: str) -> None:
        """Forget the parts; none is no error."""


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


def presented(name: str) -> tuple[str, str]:
    """How a browser is given a file of this name: its content type, and `inline` or `attachment`.

    Sound and pictures are shown, and WebVTT and JSON, which programs read and which hold no scripts. Everything else is
    a stranger's bytes to save: a page, or an SVG, with its scripts would run under the name of whoever serves it.
    """
    readable = {".vtt": "text/vtt", ".json": "application/json"}.get(PurePosixPath(name.lower()).suffix)
    if readable:
        return readable, "inline"
    kind = mimetypes.guess_type(name)[0] or ""
    if kind.startswith(("video/", "audio/", "image/")) and kind != "image/svg+xml":
        return kind, "inline"
    return "application/octet-stream", "attachment"
