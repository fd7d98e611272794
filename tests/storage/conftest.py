"""Storages to try: a folder, and a bucket of a real server where one can be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulators.object_store import ObjectStore
from vtid.storage import Links, LocalStorage, Storage
from vtid.storage.remote import connect
from vtid.storage.s3 import S3Storage


@pytest.fixture
def make_s3(store: ObjectStore) -> Callable[..., S3Storage]:
    """A storage in a bucket of its own; with other credentials than the right ones where given."""

    def make(bucket: str | None = None, secret: str = store.secret_key, *, direct: bool = True) -> S3Storage:
        client = connect(store.endpoint, store.region, store.access_key, secret)
        return S3Storage(
            client, bucket or store.bucket(), public=client if direct else None, links=Links(b"s", "http://daemon")
        )

    return make


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "files", Links(b"s"))
    made: Storage = request.getfixturevalue("make_s3")()
    return made
