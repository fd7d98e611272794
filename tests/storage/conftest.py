"""Storages to try: a folder, and a bucket of a real server where one can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulators.object_store import ObjectStore, object_store
from vtid.storage import Links, LocalStorage, Storage
from vtid.storage.remote import connect
from vtid.storage.s3 import S3Storage


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3-compatible server, started for the tests that ask for it."""
    with object_store(tmp_path_factory.mktemp("swift")) as store:
        yield store


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
