"""Buckets beside the storage's own, which jobs may read and fill: those that the operator listed, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from vtid.errors import InvalidInput, Problem
from vtid.storage.base import Stat, Storage, Writer

if TYPE_CHECKING:  # its library is loaded when a bucket is first needed
    from minio import Minio

    from vtid.storage.s3 import S3Storage

_URL = re.compile(r"s3://([^/]+)/(.+)")


class Buckets:
    """Says what `s3://BUCKET/KEY` leads to.

    Args:
        connect: makes the client; called when it is first needed.
        allowed: `bucket` or `bucket/prefix`, with `{user_id}` where each user has a prefix.
    """

    def __init__(self, connect: Callable[[], Minio], allowed: Sequence[str]) -> None:
        self._connect = connect
        self._allowed = allowed
        self._client: Minio | None = None

    def _storage(self, bucket: str) -> S3Storage:
        from vtid.storage.s3 import S3Storage  # noqa: PLC0415

        self._client = self._client or self._connect()
        return S3Storage(self._client, bucket)

    def locate(self, url: str, user_id: str, place: str = "video_url") -> tuple[str, str]:
        """Bucket and key that a URL names.

        Args:
            url: `s3://BUCKET/KEY`; the key may be percent-encoded.
            user_id: whose job wants it.
            place: named in complaints.

        Raises:
            InvalidInput: it is no such URL, or the operator does not let jobs of this user go there.
        """
        found = _URL.fullmatch(url)
        if not found or "\0" in unquote(url):
            raise _refused(place, f"{url} is not s3://BUCKET/KEY", "invalid")
        bucket, key = found[1], unquote(found[2])
        # Segments such as `..` mean nothing to S3, but what they seem to say must not pass for a prefix.
        plain = not any(part in ("", ".", "..") for part in key.rstrip("/").split("/"))
        if not plain or not any(_covers(rule, bucket, key, user_id) for rule in self._allowed):
            names = ", ".join(sorted({rule.partition("/")[0] for rule in self._allowed})) or "none"
            raise _refused(place, f"{bucket}/{key} is not open to jobs; buckets that are: {names}", "forbidden_bucket")
        return bucket, key

    def stat(self, bucket: str, key: str) -> Stat:
        """Size and time. Raises `NotFound`."""
        return self._storage(bucket).stat(key)

    def objects(self, bucket: str, prefix: str) -> Iterator[tuple[str, Stat]]:
        """Every key under a prefix, with its size and time."""
        return self._storage(bucket).objects(prefix)

    def heard(self, bucket: str, prefix: str) -> Iterator[bool]:
        """Whether something was stored there, each time that the server says so. Raises `NotFound` where none does."""
        return self._storage(bucket).heard(prefix)

    def copy(self, bucket: str, source: str, target: str) -> None:
        """Have the server copy an object within its bucket."""
        self._storage(bucket).copy(source, target)

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        self._storage(bucket).delete(key)

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        """The bytes, in pieces; goes on where a connection breaks. Raises `NotFound`."""
        return self._storage(bucket).read(key)

    def writer(self, bucket: str, key: str) -> Writer:
        """Store a stream there, whole or not at all."""
        return self._storage(bucket).writer(key)

    def send(self, storage: Storage, source: str, bucket: str, key: str) -> None:
        """Put a stored file there, piece by piece."""
        with self.writer(bucket, key) as writer:
            for piece in storage.read(source):
                writer.write(piece)


def _covers(rule: str, bucket: str, key: str, user_id: str) -> bool:
    name, _, prefix = rule.partition("/")
    folder = prefix.replace("{user_id}", user_id).rstrip("/")
    return name == bucket and (not folder or key.startswith(f"{folder}/"))


def _refused(place: str, message: str, code: str) -> InvalidInput:
    return InvalidInput(f"{place}: {message}.", problems=[Problem(place, message, code)])
