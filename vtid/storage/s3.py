"""Storage in a bucket of S3, or of a server that speaks its language (Garage, SeaweedFS, MinIO, Ceph, Swift).

Uploads in parts, copies and listings are the server's; a file appears when its last part is confirmed. The library's
calls for single parts begin with an underscore: it has no others, and pyproject.toml holds the versions that have them.
"""

from __future__ import annotations

import contextlib
import mimetypes
import re
import uuid
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from minio import Minio
from minio.commonconfig import ComposeSource, CopySource
from minio.datatypes import ListMultipartUploadsResult, Part
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from vtid.errors import NotFound, StorageError
from vtid.storage.base import CHUNK, DirectPart, Piece, Stat, check_key, presented
from vtid.storage.links import Links
from vtid.storage.remote import remote_errors

PART = 8 << 20
"""Bytes that a writer gathers before it sends them: its whole memory, and half of what it needs while it sends."""
SMALLEST_PART = 5 << 20
"""S3 takes no smaller part but the last."""
LONGEST_LINK_S = 7 * 24 * 3600
TRIES = 4
"""How often a download that breaks is taken up again."""


class S3Storage:
    """Keeps files in a bucket.

    Args:
        client: of the server.
        bucket: that is there already.
        public: a client that makes URLs as browsers reach the server; None for links to the daemon.
        links: makes those.
    """

    def __init__(self, client: Minio, bucket: str, *, public: Minio | None = None, links: Links | None = None) -> None:
        self.client = client
        self.bucket = bucket
        self._public = public
        self._links = links

    # --- in

    def writer(self, key: str, *, durable: bool = True) -> S3Writer:
        """Store a stream of unknown length, in parts that grow with it."""
        return S3Writer(self.client, self.bucket, check_key(key))

    def growing(self, _key: str, _at: int | None = None) -> None:
        """What is in a bucket is whole."""
        return

    def put(self, key: str, path: Path, *, move: bool = False) -> int:
        """Send a local file."""
        size = path.stat().st_size
        with self.writer(key) as writer, path.open("rb") as handle:
            while piece := handle.read(CHUNK):
                writer.write(piece)
        if move:
            path.unlink()
        return size

    def copy(self, source: str, target: str) -> None:
        """Have the server copy it."""
        with remote_errors(self.bucket, source):
            self.client.copy_object(self.bucket, check_key(target), CopySource(self.bucket, check_key(source)))

    def join(self, pieces: Sequence[Piece], target: str) -> int:
        """Have the server put files together; those that are too small for it go through here, block by block."""
        for piece in pieces:
            if self.stat(piece.key).size < piece.start + piece.size:
                raise NotFound(f"The stored file {piece.key} has fewer than {piece.start + piece.size} bytes.")
        if all(piece.size >= SMALLEST_PART for piece in pieces[:-1]) and pieces[-1].size > 0:
            with remote_errors(self.bucket, target):
                parts = [ComposeSource(self.bucket, p.key, offset=p.start, length=p.size) for p in pieces]
                self.client.compose_object(self.bucket, check_key(target), parts)
        else:
            with self.writer(target) as writer:
                for piece in pieces:
                    for block in self.read(piece.key, piece.start, piece.start + piece.size):
                        writer.write(block)
        return sum(piece.size for piece in pieces)

    # --- out

    def fetch(self, key: str, target: Path, *, link: bool = False) -> None:
        """Download it, whole or not at all."""
        if target.exists():
            raise StorageError(f"{target} exists already.")
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with staged.open("xb", buffering=0) as handle:
                for piece in self.read(key):
                    handle.write(piece)
            staged.rename(target)
        except OSError as error:
            raise StorageError(f"{target} cannot be written: {error.strerror}") from error
        finally:
            staged.unlink(missing_ok=True)

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to and without `end`; goes on where a connection breaks."""
        found = self.stat(key)
        stop = found.size if end is None else min(end, found.size)
        tries = TRIES
        while start < stop:
            try:
                for piece in self._stream(key, start, stop - start, found.etag):
                    start += len(piece)
                    tries = TRIES
                    yield piece
            except HTTPError as error:
                tries -= 1
                if not tries:
                    raise StorageError(f"{key} cannot be read: the connection to the storage breaks.") from error

    def _stream(self, key: str, start: int, length: int, etag: str) -> Iterator[bytes]:
        headers: dict[str, Any] = {"If-Match": etag}
        with remote_errors(self.bucket, key, let_through=HTTPError):
            answer = self.client.get_object(
                self.bucket, check_key(key), offset=start, length=length, request_headers=headers
            )
        try:
            yield from answer.stream(CHUNK)
        finally:
            answer.close()  # what was not read to its end is of no use for another request
            answer.release_conn()

    def stat(self, key: str) -> Stat:
        """Size, time and the server's etag."""
        with remote_errors(self.bucket, key):
            return _stat_of(self.client.stat_object(self.bucket, check_key(key)))

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix."""
        with remote_errors(self.bucket, prefix):
            for found in self.client.list_objects(self.bucket, prefix=_folder(prefix), recursive=True):
                yield str(found.object_name)

    def objects(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        """The keys under a prefix, which may be empty, with what is known of each."""
        with remote_errors(self.bucket, prefix):
            for found in self.client.list_objects(self.bucket, prefix=prefix, recursive=True):
                yield str(found.object_name), _stat_of(found)

    def heard(self, prefix: str) -> Iterator[bool]:
        """Whether something was stored under a prefix, each time that the server says so or that it is still there.

        MinIO's and its kin's `ListenNotification`: one answer that never ends, a line of JSON for each event, and blank
        ones to show that it is alive. The library's own call asks again without a pause where a server knows no such
        thing, so that this one looks at what kind of answer it is.

        Raises:
            NotFound: this server tells nobody.
            StorageError, Unavailable: it cannot be reached, or has stopped.
        """
        query: dict[str, str | list[str] | tuple[str]] = {
            "prefix": prefix,
            "suffix": "",
            "events": "s3:ObjectCreated:*",
        }
        with remote_errors(self.bucket, prefix):
            answer = self.client._execute("GET", self.bucket, query_params=query, preload_content=False)
            try:
                if "event-stream" not in (answer.headers.get("content-type") or ""):
                    raise NotFound(f"The server of {self.bucket} does not tell of changes.")
                while line := answer.readline():
                    yield bool(line.strip())
            finally:
                answer.close()
                answer.release_conn()

    def folders(self, prefix: str) -> Iterator[str]:
        """The names directly under a prefix that have keys below them."""
        with remote_errors(self.bucket, prefix):
            for found in self.client.list_objects(self.bucket, prefix=_folder(prefix)):
                if found.is_dir:
                    yield str(found.object_name).rstrip("/").rpartition("/")[2]

    def delete(self, key: str) -> None:
        """Remove a file."""
        with remote_errors(self.bucket, key), contextlib.suppress(NotFound):
            self.client.remove_object(self.bucket, check_key(key))

    def delete_prefix(self, prefix: str, keep: Collection[str] = ()) -> int:
        """Remove what is under a prefix, a thousand in one request."""
        doomed = [key for key in self.list(prefix) if key not in keep]
        with remote_errors(self.bucket, prefix):
            failed = next(iter(self.client.remove_objects(self.bucket, map(DeleteObject, doomed))), None)
        if failed is not None:
            raise StorageError(f"{failed.name or prefix} cannot be deleted: {failed.message}")
        return len(doomed)

    # --- around it

    def signed_url(self, key: str, *, ttl_s: float, filename: str | None = None) -> str:
        """A presigned URL of the bucket; a link to the daemon where browsers do not reach the bucket."""
        if self._public is None:
            assert self._links is not None
            return self._links.url(key, ttl_s=ttl_s, filename=filename)
        name = filename or key.rpartition("/")[2]
        kind, shown = presented(name)
        headers: dict[str, Any] = {
            "response-content-type": kind,
            "response-content-disposition": f"{shown}; filename*=UTF-8''{quote(name, safe='')}",
        }
        expires = timedelta(seconds=max(1, min(int(ttl_s), LONGEST_LINK_S)))
        return str(self._public.presigned_get_object(self.bucket, check_key(key), expires, response_headers=headers))

    def sweep(self, older_than_s: float) -> int:
        """Abort uploads in parts that writers which were killed left open; they cost room and are seen nowhere."""
        limit, count = datetime.now(UTC) - timedelta(seconds=older_than_s), 0
        with remote_errors(self.bucket, ""):
            # The library's own listing sends an empty delimiter, with which Swift lists nothing.
            answer = self.client._execute("GET", self.bucket, query_params={"uploads": "", "encoding-type": "url"})
            for found in ListMultipartUploadsResult(answer).uploads:
                if found.initiated_time and found.initiated_time < limit:
                    self.abort_direct(found.object_name, str(found.upload_id))
                    count += 1
        return count

    def check(self) -> None:
        """Store a few bytes, read them back, remove them."""
        key = f"temp/check-{uuid.uuid4().hex}"
        with self.writer(key) as writer:
            writer.write(b"vtid")
        try:
            if b"".join(self.read(key)) != b"vtid":
                raise StorageError(f"The bucket {self.bucket} does not give back what was stored.")
        finally:
            self.delete(key)

    # --- uploads past the daemon

    def begin_direct(self, key: str) -> str:
        """Begin to store a file in parts."""
        with remote_errors(self.bucket, key):
            headers: dict[str, Any] = {"Content-Type": content_type(key)}
            return str(self.client._create_multipart_upload(self.bucket, check_key(key), headers))

    def part_url(self, key: str, upload_id: str, number: int, ttl_s: float) -> str:
        """The URL to which part `number`, from 1, is PUT."""
        which: dict[str, Any] = {"partNumber": str(number), "uploadId": upload_id}
        client, expires = self._public or self.client, timedelta(seconds=max(1, min(int(ttl_s), LONGEST_LINK_S)))
        return str(client.get_presigned_url("PUT", self.bucket, check_key(key), expires, extra_query_params=which))

    def direct_parts(self, key: str, upload_id: str) -> Sequence[DirectPart]:
        """The parts that are there, by number."""
        found: list[DirectPart] = []
        marker: str | None = None
        with remote_errors(self.bucket, key):
            while True:
                page = self.client._list_parts(self.bucket, check_key(key), upload_id, part_number_marker=marker)
                found += [DirectPart(p.part_number, p.size or 0, p.etag) for p in page.parts]
                if not page.is_truncated or not page.parts:
                    return found
                marker = str(page.parts[-1].part_number)

    def complete_direct(self, key: str, upload_id: str, parts: Sequence[DirectPart]) -> None:
        """Put the parts together under the key."""
        _complete(self.client, self.bucket, check_key(key), upload_id, [Part(p.number, p.etag) for p in parts])

    def abort_direct(self, key: str, upload_id: str) -> None:
        """Forget the parts."""
        with contextlib.suppress(NotFound), remote_errors(self.bucket, key):
            self.client._abort_multipart_upload(self.bucket, key, upload_id)


def _stat_of(found: Any) -> Stat:
    at = found.last_modified.timestamp() if found.last_modified else 0.0
    return Stat(found.size or 0, at, f'"{(found.etag or "").strip(chr(34))}"')


class S3Writer:
    """A file being stored: up to `PART` bytes in one request, more of them in parts."""

    def __init__(self, client: Minio, bucket: str, key: str) -> None:
        self.size = 0
        self._client = client
        self._bucket = bucket
        self._key = key
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[Part] = []

    def __enter__(self) -> S3Writer:
        """Nothing is sent yet."""
        return self

    def write(self, data: bytes) -> None:
        """Append; sends a part when there is one."""
        self._buffer += data
        self.size += len(data)
        # S3 takes 10,000 parts: larger ones later let a file be 496 GB, and cost a small one no memory.
        while len(self._buffer) >= (part := PART << len(self._parts) // 2000):
            piece = bytes(memoryview(self._buffer)[:part])
            del self._buffer[:part]
            self._send(piece)

    def _send(self, piece: bytes) -> None:
        client, number = self._client, len(self._parts) + 1
        with remote_errors(self._bucket, self._key):
            if self._upload_id is None:
                headers: dict[str, Any] = {"Content-Type": content_type(self._key)}
                self._upload_id = client._create_multipart_upload(self._bucket, self._key, headers)
            etag = client._upload_part(self._bucket, self._key, piece, None, self._upload_id, number)
        self._parts.append(Part(number, etag))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish, or have the server forget what was sent."""
        try:
            if kind is None:
                self._publish()
                self._upload_id = None
        finally:
            self._buffer.clear()
            if self._upload_id is not None:
                with contextlib.suppress(StorageError, NotFound), remote_errors(self._bucket, self._key):
                    self._client._abort_multipart_upload(self._bucket, self._key, self._upload_id)

    def _publish(self) -> None:
        if self._upload_id is None:
            headers: dict[str, Any] = {"Content-Type": content_type(self._key)}
            with remote_errors(self._bucket, self._key):
                self._client._put_object(self._bucket, self._key, bytes(self._buffer), headers)
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        assert self._upload_id is not None
        _complete(self._client, self._bucket, self._key, self._upload_id, self._parts)


def _complete(client: Minio, bucket: str, key: str, upload_id: str, parts: Sequence[Part]) -> None:
    with remote_errors(bucket, key):
        try:
            client._complete_multipart_upload(bucket, key, upload_id, list(parts))
        except S3Error as error:
            # A repeat of a request whose answer was lost finds the upload gone and the file there.
            if error.code != "NoSuchUpload":
                raise
            client.stat_object(bucket, key)


def content_type(name: str) -> str:
    """By the ending of a name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _folder(prefix: str) -> str:
    """A prefix as the server takes it, checked."""
    return f"{check_key(re.sub('/+$', '', prefix))}/"
