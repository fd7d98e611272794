"""From settings to a bucket."""

from __future__ import annotations

from typing import Protocol

from minio import Minio

from vtid.storage.links import Links
from vtid.storage.remote import connect
from vtid.storage.s3 import S3Storage


class BucketSettings(Protocol):
    """What must be known; `vtid.config` has it."""

    @property
    def endpoint_url(self) -> str:
        """Where the server is."""
        ...

    @property
    def public_endpoint(self) -> str:
        """How browsers reach it; empty: so as well."""
        ...

    @property
    def region(self) -> str:
        """That it says it is."""
        ...

    @property
    def bucket(self) -> str:
        """Of the files."""
        ...

    @property
    def access_key(self) -> str:
        """Names the account."""
        ...

    @property
    def secret_key(self) -> str:
        """Signs."""
        ...

    @property
    def direct_links(self) -> bool:
        """Whether links lead to the bucket itself."""
        ...


def client(settings: BucketSettings, endpoint: str = "") -> Minio:
    """A client of the server, at its endpoint or at another name of it."""
    return connect(endpoint or settings.endpoint_url, settings.region, settings.access_key, settings.secret_key)


def open_bucket(settings: BucketSettings, links: Links | None = None) -> S3Storage:
    """The storage; without `links` it makes none that lead through the daemon."""
    public = client(settings, settings.public_endpoint) if settings.direct_links else None
    return S3Storage(client(settings), settings.bucket, public=public, links=links)
