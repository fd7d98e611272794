"""Storage in a folder. Files are staged beside it, flushed to the disk, then renamed into place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode

from vtid.errors import DiskFull, NotFound, StorageError
from vtid.storage.base import CHUNK, Stat, check_key


class LocalStorage:
    """Keeps files under one folder.

    Args:
        root: the folder; made when it is not there.
        secret: signs URLs.
        base_url: of the daemon that serves the signed URLs; without it they are paths.
        min_free_bytes: below this much room nothing more is stored.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        root: Path,
        *,
        secret: bytes,
        base_url: str = "",
        min_free_bytes: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.root = root
        self._staging = root / ".staging"
        self._secret = secret
        self._base_url = base_url.rstrip("/")
        self._min_free = min_free_bytes
        self._clock = clock
        self._staging.mkdir(parents=True, exist_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _existing(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFound(f"There is no stored file {key}.")
        return path

    # --- in

    def writer(self, key: str) -> LocalWriter:
        """Store a stream of unknown length."""
        return LocalWriter(self._staging / uuid.uuid4().hex, self._path(key), self.require_room)

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
        with source.open("rb") as reader, staged.open("xb") as writer:
            try:
                # In the kernel, and without copying at all on file systems that can share blocks.
                while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
                    pass
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                    raise
                shutil.copyfileobj(reader, writer, CHUNK)
            writer.flush()
            os.fsync(writer.fileno())

    def require_room(self, size: int = 0) -> None:
        """Raise `DiskFull` unless `size` bytes fit and the floor stays free."""
        free = shutil.disk_usage(self.root).free
        if free - size < self._min_free:
            raise DiskFull(
                f"The disk of {self.root} has {free // 2**20} MiB left; {self._min_free // 2**20} MiB are kept free.",
                suggestion="Free some space, or lower limits.min_free_disk_mb.",
            )

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

    def delete(self, key: str) -> None:
        """Remove a file."""
        self._path(key).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> int:
        """Remove a folder: renamed away first, so that nobody sees it half gone."""
        folder = self._path(prefix.rstrip("/"))
        if not folder.is_dir():
            return 0
        count = sum(1 for p in folder.rglob("*") if p.is_file())
        doomed = self._staging / uuid.uuid4().hex
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        return count

    # --- signed URLs

    def signed_url(self, key: str, *, ttl_s: float, filename: str | None = None) -> str:
        """`/files/KEY?expires=…&signature=…`, served by `vtid serve`."""
        expires = str(int(self._clock() + ttl_s))
        query = {"expires": expires, "signature": self._sign(key, expires, filename or "")}
        if filename:
            query["name"] = filename
        return f"{self._base_url}/files/{quote(key)}?{urlencode(query)}"

    def verify_url(self, key: str, *, expires: str, signature: str, filename: str = "") -> bool:
        """Whether a signed URL is ours and has not expired."""
        good = hmac.compare_digest(self._sign(key, expires, filename).encode(), signature.encode())
        return good and expires.isdigit() and self._clock() < int(expires)

    def _sign(self, key: str, expires: str, filename: str) -> str:
        return hmac.new(self._secret, f"{key}\n{expires}\n{filename}".encode(), hashlib.sha256).hexdigest()

    # --- multipart

    def _upload(self, upload_id: str) -> Path:
        folder = self._staging / f"parts-{upload_id}"
        if not upload_id.isalnum() or not (folder / "key").is_file():
            raise NotFound(f"There is no upload {upload_id}.")
        return folder

    def begin_multipart(self, key: str) -> str:
        """Begin an upload in parts; they lie in a folder of their own."""
        upload_id = uuid.uuid4().hex
        folder = self._staging / f"parts-{upload_id}"
        folder.mkdir()
        (folder / "key").write_text(check_key(key))
        return upload_id

    def put_part(self, upload_id: str, number: int, data: Iterator[bytes]) -> int:
        """Store one part, whole or not at all."""
        folder = self._upload(upload_id)
        with LocalWriter(folder / uuid.uuid4().hex, folder / f"{number:06d}.part", self.require_room) as writer:
            for piece in data:
                writer.write(piece)
        return writer.size

    def parts(self, upload_id: str) -> dict[int, int]:
        """Number to size of the parts that are there."""
        return {int(p.stem): p.stat().st_size for p in sorted(self._upload(upload_id).glob("*.part"))}

    def complete_multipart(self, upload_id: str) -> int:
        """Append part to part; each is removed once it is in, so that twice the room is never needed."""
        folder = self._upload(upload_id)
        with self.writer((folder / "key").read_text()) as writer:
            for part in sorted(folder.glob("*.part")):
                with part.open("rb") as handle:
                    while piece := handle.read(CHUNK):
                        writer.write(piece)
        shutil.rmtree(folder, ignore_errors=True)
        return writer.size

    def abort_multipart(self, upload_id: str) -> None:
        """Forget the parts."""
        with contextlib.suppress(NotFound):
            shutil.rmtree(self._upload(upload_id), ignore_errors=True)

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


class LocalWriter:
    """A file being stored: written to `staged`, renamed to `target` at the end."""

    def __init__(self, staged: Path, target: Path, require_room: Callable[[int], None]) -> None:
        self.size = 0
        self._staged = staged
        self._target = target
        self._require_room = require_room
        self._checked = -1

    def __enter__(self) -> LocalWriter:
        """Open the staged file."""
        with _disk_errors():
            self._file = self._staged.open("xb", buffering=0)
        return self

    def write(self, data: bytes) -> None:
        """Append; looks at the free room every 64 MiB."""
        if self.size // (64 * CHUNK) != self._checked:
            self._checked = self.size // (64 * CHUNK)
            self._require_room(len(data))
        with _disk_errors():
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        self.size += len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish, or remove what was written."""
        with self._file, _disk_errors(), _removed_on_error(self._staged):
            if kind is None:
                os.fsync(self._file.fileno())
                _publish(self._staged, self._target)
        if kind is not None:
            self._staged.unlink(missing_ok=True)


def _publish(staged: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)


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
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"The disk is full: {error.filename or 'storage'}", suggestion="Free some space and try again."
            ) from error
        if isinstance(error, FileNotFoundError):
            raise NotFound(f"There is no file {error.filename}.") from error
        raise StorageError(f"The storage failed: {error}") from error
