"""Storage in a folder. Files are staged beside it, flushed to the disk, then renamed into place."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType

from vtid.errors import DiskFull, NotFound, StorageError
from vtid.storage.base import CHUNK, Piece, Stat, check_key
from vtid.storage.links import Links
from vtid.storage.room import Room


class LocalStorage:
    """Keeps files under one folder.

    Args:
        root: the folder; made when it is not there.
        links: signs URLs.
        min_free_bytes: below this much room nothing more is stored.
        clock: seconds since the epoch.
    """

    def __init__(
        self, root: Path, links: Links, *, min_free_bytes: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self.root = root
        self._staging = root / ".staging"
        self._links = links
        self._clock = clock
        self._staging.mkdir(parents=True, exist_ok=True)
        self.require_room = Room(root, min_free_bytes).require

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _existing(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFound(f"There is no stored file {key}.")
        return path

    # --- in

    def writer(self, key: str, *, durable: bool = True) -> LocalWriter:
        """Store a stream of unknown length."""
        return LocalWriter(self._staging / uuid.uuid4().hex, self._path(key), self.require_room, durable=durable)

    def growing(self, key: str, at: int | None = None) -> LocalGrowing | None:
        """Store a stream whose beginning may count before its end has come, or one within a file; a place once."""
        try:
            return LocalGrowing(self._path(key), self.require_room, at)
        except FileExistsError:
            return None

    def put(self, key: str, path: Path, *, move: bool = False) -> int:
        """Store a local file: renamed or linked where it lies on the same file system, copied where not."""
        target, size = self._path(key), path.stat().st_size
        staged = self._staging / uuid.uuid4().hex
        with _disk_errors(), _removed_on_error(staged):
            if move:
                try:
                    path.rename(staged)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    self._copy(path, staged, size)
                    path.unlink()
            else:
                self._link(path, staged, size)
            _publish(staged, target)
        return size

    def copy(self, source: str, target: str) -> None:
        """Store the same content under a second key, without a second copy where the file system allows it."""
        path, staged = self._existing(source), self._staging / uuid.uuid4().hex
        with _disk_errors(), _removed_on_error(staged):
            self._link(path, staged, path.stat().st_size)
            _publish(staged, self._path(target))

    def _link(self, source: Path, staged: Path, size: int) -> None:
        try:
            staged.hardlink_to(source.resolve())
        except OSError:  # another file system, or one without links
            self._copy(source, staged, size)

    def _copy(self, source: Path, staged: Path, size: int) -> None:
        self.require_room(size)
        with staged.open("xb", buffering=0) as writer:
            _append(source, writer, size)
            os.fsync(writer.fileno())

    def join(self, pieces: Sequence[Piece], target: str) -> int:
        """Store pieces of files, one after the other, as one; those that are one whole file cost no second copy."""
        paths = [self._existing(piece.key) for piece in pieces]
        for path, piece in zip(paths, pieces, strict=True):
            if path.stat().st_size < piece.start + piece.size:
                raise NotFound(f"The stored file {path.name} has fewer than {piece.start + piece.size} bytes.")
        whole = sum(piece.size for piece in pieces)
        if _is_one_file(pieces) and paths[0].stat().st_size == whole:
            with _disk_errors(), paths[0].open("rb") as only:
                os.fsync(only.fileno())
            self.copy(pieces[0].key, target)
            return whole
        self.require_room(whole)
        staged = self._staging / uuid.uuid4().hex
        with _disk_errors(), _removed_on_error(staged):
            with staged.open("xb", buffering=0) as writer:
                for path, piece in zip(paths, pieces, strict=True):
                    _append(path, writer, piece.size, piece.start)
                os.fsync(writer.fileno())
            _publish(staged, self._path(target))
        return whole

    # --- out

    def fetch(self, key: str, target: Path, *, link: bool = False) -> None:
        """Copy the file to `target`, or link it."""
        source = self._existing(key)
        with _disk_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise StorageError(f"{target} exists already.")
            if link:
                self._link(source, target, source.stat().st_size)
            else:
                self._copy(source, target, source.stat().st_size)

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to and without `end`, in pieces of at most a mebibyte."""
        with self._existing(key).open("rb") as handle:
            handle.seek(start)
            left = None if end is None else end - start
            while left is None or left > 0:
                data = handle.read(CHUNK if left is None else min(CHUNK, left))
                if not data:
                    return
                left = None if left is None else left - len(data)
                yield data

    def stat(self, key: str) -> Stat:
        """Size, time and an etag of both."""
        found = self._existing(key).stat()
        return Stat(found.st_size, found.st_mtime, f'"{found.st_mtime_ns:x}-{found.st_size:x}"')

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix."""
        folder = self._path(prefix.rstrip("/"))
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(self.root).as_posix()

    def folders(self, prefix: str) -> Iterator[str]:
        """The names directly under a prefix that have keys below them."""
        folder = self._path(prefix.rstrip("/"))
        yield from sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else ()

    def delete(self, key: str) -> None:
        """Remove a file, and the folders that it leaves empty."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        self._prune(path.parent)

    def delete_prefix(self, prefix: str, keep: Collection[str] = ()) -> int:
        """Remove a folder: renamed away first, so that nobody sees it half gone."""
        folder = self._path(prefix.rstrip("/"))
        if not folder.is_dir():
            return 0
        doomed = [key for key in self.list(prefix) if key not in keep]
        if keep:
            for key in doomed:
                self.delete(key)
        else:
            aside = self._staging / uuid.uuid4().hex
            with contextlib.suppress(FileNotFoundError):  # somebody else was first
                folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
            self._prune(folder.parent)
        return len(doomed)

    def _prune(self, folder: Path) -> None:
        """Remove folders that are empty, upwards; `_publish` makes them again where one was still wanted."""
        with contextlib.suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent

    # --- around it

    def signed_url(self, key: str, *, ttl_s: float, filename: str | None = None) -> str:
        """A link to the daemon, which serves the file."""
        return self._links.url(key, ttl_s=ttl_s, filename=filename)

    def check(self) -> None:
        """Store a few bytes, read them back, remove them."""
        probe = self._staging / f"check-{uuid.uuid4().hex}"
        try:
            self.require_room()
            probe.write_bytes(b"vtid")
            if probe.read_bytes() != b"vtid":
                raise StorageError(f"{self.root} does not give back what was written.")
        except OSError as error:
            raise StorageError(f"{self.root} cannot be written: {error.strerror}") from error
        finally:
            probe.unlink(missing_ok=True)

    def sweep(self, older_than_s: float) -> int:
        """Remove what crashes left in the staging folder. Returns how many entries."""
        limit, count = self._clock() - older_than_s, 0
        for path in self._staging.iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    count += 1
        return count


class _Appending:
    """A file that grows; its sub-class opens it as `_file`.

    Args:
        require_room: raises where so many bytes have none.
        early: whether the disk is to begin at once with what will be flushed soon.
    """

    _file: FileIO

    def __init__(self, require_room: Callable[[int], None], *, early: bool = False) -> None:
        self.size = 0
        self._require_room = require_room
        self._early = early
        self._checked = -1

    def write(self, data: bytes) -> None:
        """Append; looks at the free room every 64 MiB."""
        if self.size // (64 * CHUNK) != self._checked:
            self._checked = self.size // (64 * CHUNK)
            self._require_room(len(data))
        with _disk_errors():
            _write(self._file, data)
            if self._early:
                _send_to_disk(self._file, len(data))
        self.size += len(data)


class LocalWriter(_Appending):
    """A file being stored: written to `staged`, renamed to `target` at the end."""

    def __init__(
        self, staged: Path, target: Path, require_room: Callable[[int], None], *, durable: bool = True
    ) -> None:
        super().__init__(require_room)
        self._durable = durable
        self._staged = staged
        self._target = target

    def __enter__(self) -> LocalWriter:
        """Open the staged file."""
        with _disk_errors():
            self._file = self._staged.open("xb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish, or remove what was written."""
        with self._file, _disk_errors(), _removed_on_error(self._staged):
            if kind is None:
                if self._durable:
                    os.fsync(self._file.fileno())
                _publish(self._staged, self._target)
        if kind is not None:
            self._staged.unlink(missing_ok=True)


class LocalGrowing(_Appending):
    """A file that is there from its first byte on, or a place in one."""

    def __init__(self, target: Path, require_room: Callable[[int], None], at: int | None = None) -> None:
        super().__init__(require_room, early=at is not None)
        # Of a place, a file beside says that it is taken: of all processes, one alone makes that file.
        self._mark = target if at is None else target.with_name(f"{target.name}.{at}")
        with _disk_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._mark.open("xb", buffering=0)
            if at is not None:
                self._file.close()
                self._file = FileIO(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644), "wb")
                self._file.seek(at)

    def sync(self) -> None:
        """Have what was written survive a power cut."""
        with _disk_errors():
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def release(self) -> None:
        """Nothing of it counts: forget the file, or that the place is taken."""
        self._mark.unlink(missing_ok=True)


def _publish(staged: Path, target: Path) -> None:
    for tries_left in range(9, -1, -1):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)
        except (FileNotFoundError, FileExistsError):
            # The folder was empty, and somebody who deleted its last file took it away under this very step.
            if not tries_left or not staged.exists():
                raise
        else:
            return


def _is_one_file(pieces: Sequence[Piece]) -> bool:
    """Whether they lie in one file as they shall."""
    at = 0
    for piece in pieces:
        if piece.key != pieces[0].key or piece.start != at:
            return False
        at += piece.size
    return True


def _append(source: Path, writer: FileIO, size: int, start: int = 0) -> None:
    """Copy a file behind what was written: in the kernel, and without copying where the file system shares blocks."""
    with source.open("rb", buffering=0) as reader:
        reader.seek(start)
        left = size
        try:
            while left and (done := os.copy_file_range(reader.fileno(), writer.fileno(), min(left, 1 << 30))):
                left -= done
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            while left and (piece := reader.read(min(left, CHUNK))):
                _write(writer, piece)
                left -= len(piece)


def _write(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _send_to_disk(file: FileIO, size: int) -> None:
    """Have the system begin to write what was written last, which it would keep in memory until the flush at the end.

    So the disk works while the rest arrives. On Linux the advice that the pages are not needed begins their way out.
    """
    if sys.platform == "linux":
        os.posix_fadvise(file.fileno(), file.tell() - size, size, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn the operating system's words into ours."""
    try:
        yield
    except FileExistsError:  # is an answer, to whoever asked for a new one
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"The disk is full: {error.filename or 'storage'}", suggestion="Free some space and try again."
            ) from error
        if isinstance(error, FileNotFoundError):
            raise NotFound(f"There is no file {error.filename}.") from error
        raise StorageError(f"The storage failed: {error}") from error
